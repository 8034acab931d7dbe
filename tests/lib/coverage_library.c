/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A part of libmelin.so where lines are counted (make coverage). gcov writes what it has counted
 * when exit(3) runs the destructors; a process that ends by _exit(2), or becomes another program,
 * would be left out. So it is written in front of libc's functions for these, which libmelin.so
 * finds here. Not for processes behind a filter for system calls: it may kill who opens a file.
 */
#include <dlfcn.h>
#include <gcov.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/system_call.h"

/* The linker's --wrap=dlsym has libmelin.so call the second of these; the first is libc's. */
void *__real_dlsym(void *library, const char *name);
void *__wrap_dlsym(void *library, const char *name);

/* Those that follow begin with 0 again: an execve(2) that fails is not the end. */
static void write_counters(void)
{
	if (kernel_call(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0) == SECCOMP_MODE_DISABLED) {
		__gcov_dump();
		__gcov_reset();
	}
}

#define WRITES_FIRST(type, name, parameters, arguments)                                            \
	static type(*name##_of_libc) parameters;                                                   \
	static type name##_counted parameters                                                      \
	{                                                                                          \
		write_counters();                                                                  \
		return name##_of_libc arguments;                                                   \
	}

#define FUNCTIONS(EACH)                                                                            \
	EACH(void, _exit, (int a), (a))                                                            \
	EACH(int, execv, (const char *a, char *const *b), (a, b))                                  \
	EACH(int, execvp, (const char *a, char *const *b), (a, b))                                 \
	EACH(int, execve, (const char *a, char *const *b, char *const *c), (a, b, c))              \
	EACH(int, execvpe, (const char *a, char *const *b, char *const *c), (a, b, c))             \
	EACH(int, fexecve, (int a, char *const *b, char *const *c), (a, b, c))                     \
	EACH(int, execveat, (int a, const char *b, char *const *c, char *const *d, int e),         \
	     (a, b, c, d, e))

FUNCTIONS(WRITES_FIRST)

#define FOUND(type, name, parameters, arguments)                                                   \
	if (symbol && strcmp(wanted, #name) == 0) {                                                \
		memcpy(&name##_of_libc, &symbol, sizeof(symbol));                                  \
		return (void *)name##_counted;                                                     \
	}

void *__wrap_dlsym(void *library, const char *wanted)
{
	/* RTLD_NEXT means what comes after the library of the caller, which is this one. */
	void *symbol = __real_dlsym(library, wanted);

	FUNCTIONS(FOUND)
	return symbol;
}
