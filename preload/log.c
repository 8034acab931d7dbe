/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin's log: one line per message, on the program's standard error or in a file. Not for
 * counters, and not for anything that the program itself should see.
 *
 * Every call to the kernel is made by instruction (kernel.h): libc's functions for them are
 * interposed by this library, and a line must never come back into it.
 */
#include "preload/log.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "preload/log_file.h"
#include "stack/kernel.h"

/*
 * A line longer than this is cut. It lies on the stack of whoever has something to say, which may
 * be small; PIPE_BUF is more, so that a line to a pipe stays in one piece.
 */
#define LINE_SIZE 1024

/* Written by log_open() alone, before the program has threads; constant afterwards. */
static struct {
	bool open;
	enum stack_log_level level;
	int file; /* -1: standard error */
	/* Standard error as the program found it. */
	bool has_stderr;
	dev_t stderr_device;
	ino_t stderr_inode;
} state = { .file = -1 };

static bool standard_error_status(struct stat *status)
{
	return kernel_call(SYS_fstat, STDERR_FILENO, (long)status, 0, 0) == 0;
}

int log_open(enum stack_log_level level, const char *file)
{
	struct stat status;
	int saved_errno = errno;
	int opened;

	state.level = level;
	state.has_stderr = standard_error_status(&status);
	if (state.has_stderr) {
		state.stderr_device = status.st_dev;
		state.stderr_inode = status.st_ino;
	}
	state.open = true;
	if (file) {
		opened = log_file_open(file);
		/* What was meant for a file is too much for the program's standard error. */
		if (opened < 0 && level > STACK_LOG_WARN)
			state.level = STACK_LOG_WARN;
		if (opened < 0) {
			errno = saved_errno;
			return opened;
		}
		state.file = opened;
	}
	errno = saved_errno;
	return 0;
}

int log_descriptor(void)
{
	return state.file;
}

bool log_enabled(enum stack_log_level level)
{
	return state.open && level <= state.level;
}

static const char *level_prefix(enum stack_log_level level)
{
	switch (level) {
	case STACK_LOG_DEBUG:
		return "melin: debug: ";
	case STACK_LOG_TRACE:
		return "melin: trace: ";
	default:
		return "melin: ";
	}
}

/*
 * Blocks the signals that a write can raise for this thread while it writes: a reader that has gone
 * away (2>&1 | head) or a file that has reached the limit (ulimit -f) must not end a program that
 * itself writes nothing there.
 */
static void write_without_signals(int descriptor, const char *line, size_t length)
{
	/* The kernel's own signal sets: 64 bits. */
	const uint64_t raised = UINT64_C(1) << (SIGPIPE - 1) | UINT64_C(1) << (SIGXFSZ - 1);
	const struct timespec now = { 0 };
	uint64_t before = 0, pending = 0, ours;
	long result;

	kernel_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&raised, (long)&before, sizeof(raised));
	kernel_call(SYS_rt_sigpending, (long)&pending, sizeof(pending), 0, 0);
	do {
		result = kernel_call(SYS_write, descriptor, (long)line, (long)length, 0);
	} while (result == -EINTR);
	/* Only the signal that this write raised is taken away. */
	ours = raised & ~pending;
	if ((result == -EPIPE || result == -EFBIG) && ours)
		kernel_call(SYS_rt_sigtimedwait, (long)&ours, 0, (long)&now, sizeof(ours));
	kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before));
}

static void write_line(const char *line, size_t length)
{
	struct stat status;

	if (state.file >= 0) {
		write_without_signals(state.file, line, length);
		return;
	}
	if (!state.has_stderr || !standard_error_status(&status) ||
	    status.st_dev != state.stderr_device || status.st_ino != state.stderr_inode)
		return;
	write_without_signals(STDERR_FILENO, line, length);
}

void log_write(enum stack_log_level level, const char *format, ...)
{
	const char *prefix = level_prefix(level);
	char line[LINE_SIZE];
	size_t start = strlen(prefix), length;
	int saved_errno = errno;
	int formatted;
	va_list arguments;

	if (!log_enabled(level))
		return;
	memcpy(line, prefix, start);
	va_start(arguments, format);
	formatted = vsnprintf(line + start, sizeof(line) - start, format, arguments);
	va_end(arguments);
	if (formatted >= 0) {
		length = start + (size_t)formatted;
		if (length >= sizeof(line)) {
			memcpy(line + sizeof(line) - 4, "...", 3);
			length = sizeof(line) - 1;
		}
		/*
		 * Messages quote the user's text: what is in it must not start a line or a colour.
		 */
		for (size_t i = start; i < length; i++) {
			if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
				line[i] = '?';
		}
		line[length++] = '\n';
		write_line(line, length);
	}
	errno = saved_errno;
}
