/* SPDX-License-Identifier: BSD-3-Clause */
/* See rights.h. */
#include "preload/lifecycle/rights.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "preload/libc/capabilities.h"
#include "preload/libc/signals.h"
#include "preload/config/config.h"
#include "preload/config/log.h"
#include "preload/descriptors/descriptors.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_process.h"
#include "preload/sockets/borrow_stop.h"
#include "preload/sockets/flow.h"
#include "preload/sockets/host_flow.h"
#include "preload/process/lending.h"
#include "preload/process/process_stack.h"
#include "preload/process/status.h"
#include "preload/process/keeper.h"
#include "preload/sockets/pending.h"
#include "common/system_call.h"

/*
 * How often, and at what distance, a start is tried again while another process has the device,
 * which may be about to end.
 */
#define WAIT_STEPS 20
#define WAIT_STEP  50000 /* microseconds */

/* System calls are filtered now: one that the program would not make itself may end the program. */
static _Atomic bool already_filtered;

static void restore_errno(const int *before)
{
	errno = *before;
}

/*
 * For the functions that stand around the program's calls, until their end: some programs look at
 * errno after a call that was good. Perl's $( and $) tell of a failure in no other way.
 */
#define KEEP_ERRNO const int errno_before __attribute__((cleanup(restore_errno))) = errno

/* Else there is nothing left to be prepared, and no system call may be made to find that out. */
static bool matters(void)
{
	return config_active() && !atomic_load(&already_filtered);
}

/*
 * Starts the stack now if there is a socket for it. If another process has the device, a thread
 * waits for it in the name of the listeners, with the rights that it takes (pending.c). For a
 * socket that may still become a flow there is no such thread, and no start later: the caller waits
 * for a while.
 */
static void start_now(void)
{
	const struct timespec step = { .tv_nsec = WAIT_STEP * 1000l };

	pending_use_here();
	if (pending_any()) {
		pending_first_use_all();
		return;
	}
	for (int i = 0; i < WAIT_STEPS && !process_stack_running() && flow_any_undecided(); i++) {
		process_stack_start();
		if (!process_stack_is_busy())
			return;
		kernel_call(SYS_nanosleep, (long)&step, 0, 0, 0);
	}
}

/* Own mode. */
static bool may_start(void)
{
	return config_active() && !config_get()->host && !process_stack_running() &&
	       !process_stack_is_parents() && !process_stack_is_starting();
}

static void before_losing(void)
{
	if (config_get()->host)
		borrow_before_losing();
	if (may_start())
		start_now();
}

/*
 * The program may make its sockets after this: a thread keeps the rights until then. Not in a
 * program that keeps capabilities itself (PR_GET_KEEPCAPS): libc changes the user of all threads,
 * and ends the program if one of them may change it and another may not.
 */
static void before_losing_early(void)
{
	before_losing();
	if (may_start() && kernel_call(SYS_prctl, PR_GET_KEEPCAPS, 0, 0, 0) == 0)
		process_stack_keep_rights();
}

/*
 * Ends the thread that keeps rights, before calls that the kernel allows only to a process of one
 * thread, and where that thread would be different from all others.
 */
static void end_keeping(void)
{
	if (may_start())
		process_stack_end_keeping();
}

/* The same where no thread of melin's may be left. Own mode's has the conditions of a start. */
static void end_keeping_in_any_mode(void)
{
	if (config_active() && config_get()->host && !process_stack_running())
		process_stack_end_keeping();
	else
		end_keeping();
}

void rights_before_user(uid_t effective)
{
	KEEP_ERRNO;

	if (matters() && effective != 0 && effective != (uid_t)-1 && geteuid() == 0)
		before_losing_early();
}

void rights_before_capabilities(const void *header, const void *data)
{
	KEEP_ERRNO;

	if (!matters())
		return;
	if (capabilities_shrink(header, data))
		before_losing();
	/* libc ends a program of which one thread may change the user and another may not. */
	end_keeping_in_any_mode();
}

void rights_before_moving(void)
{
	KEEP_ERRNO;

	if (!matters())
		return;
	/* A start needs the module and /proc, and comes later: a thread stays where they are. */
	if (config_get()->host && !process_stack_running())
		process_stack_keep_rights();
	before_losing_early();
}

void rights_after_losing(void)
{
	KEEP_ERRNO;

	keeper_follow();
}

/*
 * Only a process of one thread may enter a user namespace, or a mount namespace by setns(2): before
 * these the stack does not start, since its threads would make the call fail.
 */
void rights_before_unshare(int flags)
{
	if (flags & CLONE_FILES)
		descriptor_tables_part();
	KEEP_ERRNO;

	if (!matters())
		return;
	if (flags & CLONE_NEWUSER)
		end_keeping_in_any_mode();
	else if (flags & (CLONE_NEWNS | CLONE_NEWNET))
		before_losing_early();
	if (flags & CLONE_NEWNET)
		lending_before_moving();
}

void rights_before_setns(int type)
{
	KEEP_ERRNO;

	if (!matters())
		return;
	if (type == 0 || (type & CLONE_NEWUSER))
		end_keeping_in_any_mode();
	else if (type == CLONE_NEWNET)
		before_losing_early();
	if (type == 0 || (type & CLONE_NEWNET))
		lending_before_moving();
}

/*
 * Host mode: the threads beside and those of a start would not come any more. That is a server that
 * has all its processes. One without a listener, a helper in a sandbox for instance, is left alone:
 * a start takes long.
 */
void rights_before_threads(void)
{
	KEEP_ERRNO;

	if (!matters() || !config_get()->host || process_stack_running() || !host_listens() ||
	    !process_stack_fits_limits())
		return;
	process_stack_start();
	lending_ask(LENDING_START);
}

bool rights_before_seccomp(bool strict)
{
	KEEP_ERRNO;

	/* The look whether the kernel allows it takes system calls of its own. */
	if (!matters() || (!strict && !capabilities_may_filter()))
		return false;
	if (config_get()->host)
		borrow_stop();
	before_losing();
	if (config_get()->host) {
		borrow_before_filter();
		signals_stand_aside();
	}
	signals_filter(true);
	log_before_filter();
	/*
	 * There will be no start. A filter may kill the thread that makes a wrong call alone: the
	 * process would not end with it while there is another.
	 */
	end_keeping_in_any_mode();
	return true;
}

void rights_after_seccomp(bool prepared, bool installed)
{
	KEEP_ERRNO;

	if (installed) {
		atomic_store(&already_filtered, true);
		log_filtered();
		status_filtered();
	}
	if (!prepared)
		return;
	if (!installed)
		signals_filter(false);
	if (installed && config_get()->host)
		borrow_filtered();
	if (config_get()->host)
		borrow_go_on();
	if (config_get()->host && !installed)
		signals_stand_in_again();
	if (installed)
		process_stack_forbid(
			"the program has had its system calls filtered (seccomp) before it "
			"had a flow");
}
