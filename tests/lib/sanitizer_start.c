/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Preloaded before libmelin.so where both are built with AddressSanitizer (make check-sanitizers).
 * The sanitizer asks for limits while it starts, and would get libmelin.so's getrlimit(), which is
 * instrumented and cannot run before the sanitizer has started. It also brings the sanitizers'
 * options, for a test may start a program with an empty environment. Not instrumented itself.
 */
#include <dlfcn.h>
#include <sys/resource.h>

#include "common/system_call.h"

/* The next library's, which is libmelin.so's, from when the sanitizer has started. */
static int (*next)(__rlimit_resource_t, struct rlimit *);

/* The first library in LD_PRELOAD is the last to be constructed. */
__attribute__((constructor)) static void find_next(void)
{
	next = (int (*)(__rlimit_resource_t, struct rlimit *))dlsym(RTLD_NEXT, "getrlimit");
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
	return next ? next(resource, limit)
		    : (int)kernel_call(SYS_prlimit64, 0, (long)resource, 0, (long)limit);
}

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

/*
 * libmelin.so comes before the sanitizer's library on purpose (verify_asan_link_order); what a
 * program that is none of ours allocates is therefore not watched. Leaks are looked for in the unit
 * tests alone: the programs here do not free all that they have when they end. A limit that a test
 * sets for a dump is left alone.
 */
const char *__asan_default_options(void)
{
	return "verify_asan_link_order=0:detect_leaks=0:disable_coredump=0";
}

const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}
