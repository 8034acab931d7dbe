/* SPDX-License-Identifier: BSD-3-Clause */
/* See journal.h. */
#include "dpdk/eal/journal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <rte_log.h>

#define LINE_MAX_LENGTH 240
#define LINES_MAX	64 /* a start with all drivers' notices is about 20 */

struct line {
	enum log_level level;
	char text[LINE_MAX_LENGTH];
};

/* The mutex protects all below. It is a leaf: nothing else is taken or called while it is held. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct line lines[LINES_MAX];
static unsigned first, count;
static char first_error[LINE_MAX_LENGTH];
static atomic_bool waiting; /* a hint for journal_waiting(); the mutex orders the lines */

static libbpf_print_fn_t program_bpf_print;

static void add_text(enum log_level level, const char *text, size_t length)
{
	struct line *line;

	while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
		length--;
	if (length == 0)
		return;
	pthread_mutex_lock(&mutex);
	line = &lines[(first + count) % LINES_MAX];
	if (count < LINES_MAX)
		count++;
	else
		first = (first + 1) % LINES_MAX;
	line->level = level;
	snprintf(line->text, sizeof(line->text), "%.*s", (int)length, text);
	atomic_store_explicit(&waiting, true, memory_order_relaxed);
	pthread_mutex_unlock(&mutex);
}

static void note_error(const char *text, size_t length)
{
	pthread_mutex_lock(&mutex);
	while (length && (text[length - 1] == '\n' || text[length - 1] == ' '))
		length--;
	if (!first_error[0])
		snprintf(first_error, sizeof(first_error), "%.*s", (int)length, text);
	pthread_mutex_unlock(&mutex);
}

static bool is_waiting(const char *text)
{
	bool found = false;
	unsigned i;

	pthread_mutex_lock(&mutex);
	for (i = 0; i < count && !found; i++)
		found = strcmp(lines[(first + i) % LINES_MAX].text, text) == 0;
	pthread_mutex_unlock(&mutex);
	return found;
}

void journal_add(enum log_level level, const char *format, ...)
{
	char text[LINE_MAX_LENGTH];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!is_waiting(text))
		add_text(level, text, strlen(text));
}

bool journal_waiting(void)
{
	return atomic_load_explicit(&waiting, memory_order_relaxed);
}

/* Takes one line at a time, so that the log is never called with the mutex held. */
static bool take_line(struct line *line)
{
	bool taken;

	pthread_mutex_lock(&mutex);
	taken = count > 0;
	if (taken) {
		*line = lines[first];
		first = (first + 1) % LINES_MAX;
		count--;
	} else {
		atomic_store_explicit(&waiting, false, memory_order_relaxed);
	}
	pthread_mutex_unlock(&mutex);
	return taken;
}

void journal_print(const struct link_config *config)
{
	struct line line;

	while (take_line(&line))
		config->log(config->context, line.level, "%s", line.text);
}

static ssize_t stream_write(void *cookie, const char *text, size_t length)
{
	(void)cookie;
	if (rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR)
		note_error(text, length);
	add_text(LOG_LEVEL_DEBUG, text, length);
	return (ssize_t)length;
}

FILE *journal_stream(void)
{
	return fopencookie(NULL, "w", (cookie_io_functions_t){ .write = stream_write });
}

void journal_first_error(char *text, size_t size)
{
	pthread_mutex_lock(&mutex);
	snprintf(text, size, "%s", first_error);
	pthread_mutex_unlock(&mutex);
}

void journal_forget(void)
{
	pthread_mutex_lock(&mutex);
	first_error[0] = '\0';
	pthread_mutex_unlock(&mutex);
}

static int bpf_print(enum libbpf_print_level level, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static int bpf_print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char text[LINE_MAX_LENGTH];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), format, arguments);
	if (level == LIBBPF_WARN)
		note_error(text, strlen(text));
	add_text(LOG_LEVEL_DEBUG, text, strlen(text));
	return 0;
}

void journal_capture_bpf(void)
{
	program_bpf_print = libbpf_set_print(bpf_print);
}

void journal_release_bpf(void)
{
	libbpf_set_print(program_bpf_print);
}
