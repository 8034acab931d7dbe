/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: what starts, ends or changes a process. exit(3) needs no wrapper: the library's
 * destructor runs.
 */
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "flow.h"
#include "instance.h"
#include "symbols.h"

/*
 * A vfork child shares its parent's memory, our table in it, and closes and duplicates
 * descriptors before it executes a program. As fork() it works on a table of its own; POSIX
 * allowed that when it still had vfork().
 */
INTERPOSED pid_t vfork(void)
{
	return fork();
}

/* No destructor runs, but what was sent has to arrive as it does with the kernel. */
static void end_of_process(void)
{
	if (config_active())
		instance_stop();
}

INTERPOSED __attribute__((noreturn)) void _exit(int status)
{
	end_of_process();
	libc()->_exit(status);
	__builtin_unreachable();
}

INTERPOSED __attribute__((noreturn)) void _Exit(int status)
{
	_exit(status);
}

/*
 * A server that listens as root and then gives its privileges up (an nginx worker) would not be
 * allowed to open the device at its first use any more: it is opened while it still may.
 */
static void before_losing_privileges(uid_t effective)
{
	if (config_active() && effective != 0 && effective != (uid_t)-1 && geteuid() == 0)
		flow_start_pending();
}

INTERPOSED int setuid(uid_t user)
{
	before_losing_privileges(user);
	return libc()->setuid(user);
}

INTERPOSED int setreuid(uid_t real, uid_t effective)
{
	before_losing_privileges(effective);
	return libc()->setreuid(real, effective);
}

INTERPOSED int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	before_losing_privileges(effective);
	return libc()->setresuid(real, effective, saved);
}

INTERPOSED_ALIAS(vfork, __vfork);
