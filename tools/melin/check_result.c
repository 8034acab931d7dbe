/* SPDX-License-Identifier: BSD-3-Clause */
/* What is found out is written by these, and what mends it is done (check.h). */
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/melin/check.h"

void check_say(struct check_result *result, enum check_status status, const char *format, ...)
{
	va_list arguments;

	result->status = status;
	va_start(arguments, format);
	vsnprintf(result->text, sizeof(result->text), format, arguments);
	va_end(arguments);
}

void check_mend(struct check_result *result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(result->mend, sizeof(result->mend), format, arguments);
	va_end(arguments);
}

bool check_takes_interface(const struct check_about *about)
{
	return !about->is_host &&
	       (about->device.kind == DEVICE_INTERFACE || about->device.kind == DEVICE_PACKET);
}

bool check_uses_xdp(const struct check_about *about)
{
	return !about->is_host && about->device.kind == DEVICE_INTERFACE;
}

/* What no shell takes for anything but itself. */
#define PLAIN                                                                                      \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"                           \
	"_@%+=:,./-"

static void add_text(struct check_result *result, const char *text)
{
	const size_t used = strlen(result->mend);

	snprintf(result->mend + used, sizeof(result->mend) - used, "%s", text);
}

static void add_word(struct check_result *result, const char *word)
{
	if (*result->mend)
		add_text(result, " ");
	if (*word && !word[strspn(word, PLAIN)]) {
		add_text(result, word);
		return;
	}
	add_text(result, "'");
	for (; *word; word++)
		add_text(result, *word == '\'' ? "'\\''" : (char[]){ *word, '\0' });
	add_text(result, "'");
}

void check_mend_by(struct check_result *result, const char *word, ...)
{
	va_list arguments;
	size_t count = 0;

	*result->mend = '\0';
	va_start(arguments, word);
	for (; word && count < CHECK_WORDS - 1; word = va_arg(arguments, const char *)) {
		result->words[count++] = word;
		add_word(result, word);
	}
	va_end(arguments);
	result->words[count] = NULL;
}

static bool write_number(const char *path, long number)
{
	FILE *file = fopen(path, "we");
	bool is_written = file && fprintf(file, "%ld\n", number) > 0;

	/* The kernel answers when the buffer is written. */
	return file && fclose(file) == 0 && is_written;
}

/*
 * Where a system's tools are, whatever the caller's PATH is: after su(1) without "-" it lacks the
 * first two.
 */
static bool start(pid_t *process, char *const *arguments)
{
	static const char *const folders[] = { "/usr/sbin", "/sbin", "/usr/bin", "/bin" };
	char path[64];
	int error = ENOENT;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && error == ENOENT; i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], arguments[0]);
		error = posix_spawn(process, path, NULL, NULL, arguments, environ);
	}
	if (error)
		fprintf(stderr, "melin check: %s: %s\n", arguments[0], strerror(error));
	return error == 0;
}

bool check_run(const struct check_result *result)
{
	char *arguments[CHECK_WORDS];
	pid_t process;
	int status;

	if (result->file) {
		if (write_number(result->file, result->number))
			return true;
		fprintf(stderr, "melin check: %s: %s\n", result->file, strerror(errno));
		return false;
	}
	memcpy(arguments, result->words, sizeof(arguments));
	return arguments[0] && start(&process, arguments) &&
	       waitpid(process, &status, 0) == process && status == 0;
}
