/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: the process's limits of open descriptors and, where a stack is in its memory, of
 * addresses and data: melin takes nothing of them (descriptor_room.h, memory_limit.h). Other
 * limits, and other processes' ones, are the kernel's; before the one of processes is set, the
 * threads start that will be needed (rights.h).
 */
#include <sys/resource.h>
#include <unistd.h>

#include "preload/config/config.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/libc/result.h"
#include "preload/libc/symbols.h"
#include "preload/libc/thread.h"
#include "preload/lifecycle/rights.h"
#include "preload/process/memory_limit.h"

_Static_assert(sizeof(struct rlimit) == sizeof(struct rlimit64), "one function serves both names");

static bool is_ours(pid_t process, int resource)
{
	return (resource == RLIMIT_NOFILE || memory_limit_concerns(resource)) && config_active() &&
	       (process == 0 || process == getpid());
}

/* Limits that are the kernel's, and that threads of melin's are under as well. */
static void before_setting(pid_t process, int resource, const void *wanted)
{
	if (resource == RLIMIT_NPROC && wanted && config_active() &&
	    (process == 0 || process == getpid()))
		rights_before_threads();
}

/*
 * DPDK's start would raise the limit to the hard one. It has melin's room for descriptors already,
 * and the limit is the program's: so it is left alone.
 */
static int limit(int resource, const void *wanted, void *before)
{
	if (thread_is_own())
		wanted = NULL;
	return (int)as_libc(resource == RLIMIT_NOFILE
				    ? descriptor_room_limit(wanted, before)
				    : memory_limit_change(resource, wanted, before));
}

INTERPOSED int getrlimit(__rlimit_resource_t resource, struct rlimit *before)
{
	return is_ours(0, (int)resource) ? limit((int)resource, NULL, before)
					 : libc()->getrlimit(resource, before);
}

INTERPOSED int setrlimit(__rlimit_resource_t resource, const struct rlimit *wanted)
{
	before_setting(0, (int)resource, wanted);
	return is_ours(0, (int)resource) ? limit((int)resource, wanted, NULL)
					 : libc()->setrlimit(resource, wanted);
}

INTERPOSED int prlimit(pid_t process, enum __rlimit_resource resource, const struct rlimit *wanted,
		       struct rlimit *before)
{
	before_setting(process, (int)resource, wanted);
	return is_ours(process, (int)resource) ? limit((int)resource, wanted, before)
					       : libc()->prlimit(process, resource, wanted, before);
}

INTERPOSED_ALIAS(getrlimit, getrlimit64);
INTERPOSED_ALIAS(setrlimit, setrlimit64);
INTERPOSED_ALIAS(prlimit, prlimit64);
