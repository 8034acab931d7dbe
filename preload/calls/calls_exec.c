/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: execve(2) and its relatives. The process becomes another program, and its stack is
 * gone: what was sent is delivered before, and the peers hear of the end. A call that cannot
 * succeed changes nothing. Not for children: those that fork(2) makes have no connections here.
 */
#include <alloca.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/config/advice.h"
#include "preload/libc/monotonic.h"
#include "preload/config/config.h"
#include "preload/process/process_stack.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_stop.h"
#include "preload/sockets/socket_object.h"
#include "preload/libc/symbols.h"

/*
 * Finds the file that execvp(3) would execute, as far as that is seen from outside. False: there is
 * none.
 */
static bool find_in_path(const char *file, char path[PATH_MAX])
{
	const char *folder = getenv("PATH");

	if (!folder || strchr(file, '/'))
		return snprintf(path, PATH_MAX, "%s", file) < PATH_MAX && access(file, X_OK) == 0;
	for (;;) {
		int length = (int)strcspn(folder, ":");

		if (snprintf(path, PATH_MAX, "%.*s%s%s", length, folder, length ? "/" : "", file) <
			    PATH_MAX &&
		    access(path, X_OK) == 0)
			return true;
		if (!folder[length])
			return false;
		folder += length + 1;
	}
}

/*
 * The new program knows nothing of the stack, so the connections end as they do at the end of the
 * process. Returns whether other threads are kept from borrowing, until failed() is called.
 */
static bool before_exec(void)
{
	if (config_get()->host) {
		borrow_stop();
		borrow_end_all(BORROW_PROCESS);
		return true;
	}
	socket_finish_all(clock_after(config_get()->linger_ms * 1000000ull));
	return false;
}

static bool before_file(const char *file, bool search)
{
	char path[PATH_MAX];

	if (!process_stack_is_own() && !advice_wants_programs())
		return false;
	if (search ? !find_in_path(file, path) : access(file, X_OK) < 0)
		return false;
	advice_executes(search ? path : file);
	return process_stack_is_own() && before_exec();
}

/* The program goes on as the one that it was. */
static int failed(bool stopped, int result)
{
	if (stopped)
		borrow_go_on();
	return result;
}

INTERPOSED int execve(const char *path, char *const arguments[], char *const environment[])
{
	const bool stopped = before_file(path, false);

	return failed(stopped, libc()->execve(path, arguments, environment));
}

INTERPOSED int execv(const char *path, char *const arguments[])
{
	const bool stopped = before_file(path, false);

	return failed(stopped, libc()->execv(path, arguments));
}

INTERPOSED int execvp(const char *file, char *const arguments[])
{
	const bool stopped = before_file(file, true);

	return failed(stopped, libc()->execvp(file, arguments));
}

INTERPOSED int execvpe(const char *file, char *const arguments[], char *const environment[])
{
	const bool stopped = before_file(file, true);

	return failed(stopped, libc()->execvpe(file, arguments, environment));
}

INTERPOSED int fexecve(int descriptor, char *const arguments[], char *const environment[])
{
	const bool stopped = process_stack_is_own() &&
			     libc()->fcntl(descriptor, F_GETFD, 0L) >= 0 && before_exec();

	return failed(stopped, libc()->fexecve(descriptor, arguments, environment));
}

INTERPOSED int execveat(int folder, const char *path, char *const arguments[],
			char *const environment[], int flags)
{
	const bool stopped = process_stack_is_own() && faccessat(folder, path, X_OK, flags) == 0 &&
			     before_exec();

	return failed(stopped, libc()->execveat(folder, path, arguments, environment, flags));
}

/*
 * The functions whose arguments are a list: as vectors, on the caller's stack, which is all that a
 * child of fork(2) may use. count is that of the words, the NULL behind them included.
 */
static size_t count_words(va_list list)
{
	size_t count = 2; /* the first word and the NULL */

	while (va_arg(list, char *))
		count++;
	return count;
}

#define WORDS(vector, first, list)                                                                 \
	do {                                                                                       \
		va_list copy_;                                                                     \
		size_t count_;                                                                     \
		va_copy(copy_, list);                                                              \
		count_ = count_words(copy_);                                                       \
		va_end(copy_);                                                                     \
		(vector) = alloca(count_ * sizeof(char *));                                        \
		(vector)[0] = (char *)(uintptr_t)(first);                                          \
		for (size_t i_ = 1; i_ < count_; i_++)                                             \
			(vector)[i_] = va_arg(list, char *);                                       \
	} while (0)

INTERPOSED int execl(const char *path, const char *first, ...)
{
	char **vector;
	va_list list;

	va_start(list, first);
	WORDS(vector, first, list);
	va_end(list);
	return execv(path, vector);
}

INTERPOSED int execlp(const char *file, const char *first, ...)
{
	char **vector;
	va_list list;

	va_start(list, first);
	WORDS(vector, first, list);
	va_end(list);
	return execvp(file, vector);
}

INTERPOSED int execle(const char *path, const char *first, ...)
{
	char *const *environment;
	char **vector;
	va_list list;

	va_start(list, first);
	WORDS(vector, first, list);
	environment = va_arg(list, char *const *);
	va_end(list);
	return execve(path, vector, environment);
}
