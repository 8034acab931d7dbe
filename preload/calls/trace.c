/* SPDX-License-Identifier: BSD-3-Clause */
/* See trace.h. */
#include "preload/calls/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <time.h>

#include "common/system_call.h"
#include "preload/calls/trace_print.h"
#include "preload/config/log.h"
#include "preload/descriptors/descriptors.h"
#include "preload/libc/monotonic.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/signals.h"
#include "preload/libc/thread.h"
#include "preload/sockets/socket_object.h"
#include "preload/waiting/epoll.h"

/*
 * Any of the functions: integers and pointers alone, at most six, which travel in the same
 * registers whatever their types, here as for a system call. A result of type int leaves the upper
 * half open.
 */
typedef long (*any_function)(long, long, long, long, long, long);

struct row {
	const char *name;
	void (*function)(void);
	const char *letters;
	bool result_is_int;
};

#define TRACED_CALL_ROW(type, function, letters)                                                   \
	[TRACE_##function] = { #function, (void (*)(void))(function), letters,                     \
			       sizeof(type) == sizeof(int) },
static const struct row table[] = { TRACED_CALLS(TRACED_CALL_ROW) };

bool trace_is_programs(void)
{
	return !signals_thread.traced && signals_thread.depth == 0 && !thread_is_own();
}

/* ---- who serves a call: bits, since a set of descriptors may have several ---- */

#define BY_KERNEL 1
#define BY_STACK  2
#define BORROWED  4

static unsigned server_of_socket(const struct socket *socket)
{
	switch (atomic_load(&socket->state)) {
	case SOCKET_CONNECTION:
		return atomic_load(&socket->borrowed) ? BORROWED : BY_STACK;
	case SOCKET_LISTENER:
		return socket->listener.dual ? BY_STACK | BY_KERNEL : BY_STACK;
	default:
		return BY_KERNEL;
	}
}

static unsigned server_of_epoll(const struct epoll *epoll)
{
	if (!atomic_load(&epoll->served))
		return BY_KERNEL;
	return atomic_load(&epoll->kernel_items) ? BY_STACK | BY_KERNEL : BY_STACK;
}

static unsigned server_of(int descriptor)
{
	struct object *object = descriptor_get(descriptor);
	unsigned server = BY_KERNEL;

	if (!object || object->kind == OBJECT_PRIVATE)
		return server;
	if (object->kind == OBJECT_SOCKET)
		server = server_of_socket((struct socket *)object);
	else
		server = server_of_epoll((struct epoll *)object);
	object_put(object);
	return server;
}

static unsigned server_of_poll_set(const struct pollfd *set, unsigned long count)
{
	unsigned server = 0;
	struct pollfd one;

	for (unsigned long i = 0; i < count && memory_copy_in(&one, &set[i], sizeof(one)); i++)
		if (one.fd >= 0)
			server |= server_of(one.fd);
	return server;
}

static unsigned server_of_set(int count, const fd_set *set)
{
	const char *bytes = (const char *)set;
	unsigned server = 0;
	char byte;

	for (int each = 0; set && each < count && each < DESCRIPTOR_LIMIT; each++) {
		if (!memory_copy_in(&byte, &bytes[each / 8], 1))
			break;
		if (byte >> each % 8 & 1)
			server |= server_of(each);
	}
	return server;
}

/* What the call's arguments say, when it begins or ends: those with a D at its end only. */
static unsigned server(const char *letters, const long *arguments, bool ended)
{
	unsigned server = 0;

	for (size_t i = 0; letters[i]; i++) {
		if (letters[i] == (ended ? 'D' : 'd') || (letters[i] == 's' && !ended))
			server |= server_of((int)arguments[i]);
		else if (letters[i] == 'P' && ended)
			server |= server_of_poll_set((const struct pollfd *)arguments[i],
						     (unsigned long)arguments[i + 1]);
		else if (letters[i] == 'S' && !ended)
			server |= server_of_set((int)arguments[0], (const fd_set *)arguments[i]);
	}
	return server;
}

static const char *server_name(unsigned server)
{
	static const char *const names[] = {
		[0] = "kernel",
		[BY_KERNEL] = "kernel",
		[BY_STACK] = "stack",
		[BY_STACK | BY_KERNEL] = "stack+kernel",
		[BORROWED] = "borrowed",
		[BORROWED | BY_KERNEL] = "borrowed+kernel",
		[BORROWED | BY_STACK] = "borrowed",
		[BORROWED | BY_STACK | BY_KERNEL] = "borrowed+kernel",
	};

	return names[server];
}

/* ---- a call ---- */

static bool is_socket(int descriptor)
{
	int type;

	return descriptor_known(descriptor) ||
	       kernel_get_option(descriptor, SOL_SOCKET, SO_TYPE, &type, sizeof(type)) == 0;
}

static void begin_line(struct trace_text *text, const char *name)
{
	struct timespec now = { 0 };
	long seconds;

	clock_of_libc(CLOCK_REALTIME, &now);
	seconds = log_local_time(now.tv_sec) % (24 * 60 * 60);
	text->length = 0;
	trace_append(text, "%02ld:%02ld:%02ld.%06ld [%ld] %s(", seconds / 3600, seconds / 60 % 60,
		     seconds % 60, now.tv_nsec / 1000, kernel_call(SYS_gettid, 0, 0, 0, 0), name);
}

/* A line that is too long is cut in the middle of its arguments: its end is what matters. */
static void end_line(struct trace_text *text, long result, int error, uint64_t took,
		     unsigned server)
{
	const size_t end = sizeof(text->line) - 200;

	if (text->length > end) {
		text->length = end;
		trace_append(text, "...");
	}
	trace_append(text, ")");
	trace_result(text, result, error);
	trace_append(text, " <%llu.%06llu> %s\n", (unsigned long long)(took / 1000000000),
		     (unsigned long long)(took / 1000 % 1000000), server_name(server));
	log_line(text->line, text->length);
}

static long make(const struct row *row, const long *a)
{
	const any_function function = (any_function)row->function;
	long result;

	signals_thread.traced = true;
	result = function(a[0], a[1], a[2], a[3], a[4], a[5]);
	signals_thread.traced = false;
	return row->result_is_int ? (int)result : result;
}

static long make_and_tell(const struct row *row, const long *arguments)
{
	unsigned by = server(row->letters, arguments, false);
	struct trace_text text;
	uint64_t began, took;
	long result;
	int error;

	begin_line(&text, row->name);
	began = clock_monotonic();
	result = make(row, arguments);
	error = errno;
	took = clock_monotonic() - began;
	by |= server(row->letters, arguments, true);
	trace_arguments(&text, row->letters, arguments, result);
	end_line(&text, result, error, took, by);
	errno = error;
	return result;
}

long trace_call(enum traced_call which, ...)
{
	const struct row *row = &table[which];
	long arguments[TRACE_ARGUMENTS] = { 0 };
	va_list list;

	va_start(list, which);
	for (size_t i = 0; row->letters[i]; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	if (*row->letters == 's' && !is_socket((int)arguments[0]))
		return make(row, arguments);
	return make_and_tell(row, arguments);
}
