/* SPDX-License-Identifier: BSD-3-Clause */
/* See rights.h. */
#include "preload/lifecycle/rights.h"

#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "preload/libc/capabilities.h"
#include "preload/config/config.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/flow.h"
#include "preload/process/process_stack.h"
#include "preload/process/keeper.h"
#include "preload/sockets/pending.h"
#include "common/system_call.h"

/* How long a process waits for a device that another one lets go of soon, and in what steps. */
#define WAIT_STEPS 20
#define WAIT_STEP  50000 /* microseconds */

/*
 * For a listener there is a thread that waits for another process's device and keeps what that
 * takes. For a socket that may become a flow it is now or never: the process waits for a while.
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
 * Of a socket that comes later nothing can be seen yet. libc changes users and groups of all
 * threads and ends a program in which one thread may and another may not: nothing is kept in one
 * that has thoughts of its own about its capabilities.
 */
static void before_losing_early(void)
{
	before_losing();
	if (may_start() && kernel_call(SYS_prctl, PR_GET_KEEPCAPS, 0, 0, 0) == 0)
		process_stack_keep_rights();
}

/* For calls of processes of one thread, and where one thread would differ from the others. */
static void end_keeping(void)
{
	if (may_start())
		process_stack_end_keeping();
}

void rights_before_user(uid_t effective)
{
	if (config_active() && effective != 0 && effective != (uid_t)-1 && geteuid() == 0)
		before_losing_early();
}

void rights_before_capabilities(const void *header, const void *data)
{
	if (config_active() && capabilities_shrink(header, data))
		before_losing();
	end_keeping();
}

void rights_before_moving(void)
{
	/* A start needs the module and /proc, and comes later: a thread stays where they are. */
	if (config_get()->host && !process_stack_running())
		process_stack_keep_rights();
	before_losing_early();
}

void rights_after_losing(void)
{
	keeper_follow();
}

/*
 * A user namespace is for processes of one thread, and so is setns(2) with a mount namespace: the
 * stack's threads would make them fail.
 */
void rights_before_unshare(int flags)
{
	if (flags & CLONE_NEWUSER)
		end_keeping();
	else if (flags & (CLONE_NEWNS | CLONE_NEWNET))
		before_losing_early();
}

void rights_before_setns(int type)
{
	if (type == 0 || (type & CLONE_NEWUSER))
		end_keeping();
	else if (type == CLONE_NEWNET)
		before_losing_early();
}

void rights_before_seccomp(void)
{
	before_losing();
	end_keeping(); /* there will be no start */
}

void rights_after_seccomp(void)
{
	if (config_get()->host)
		borrow_stop(); /* for good */
	if (config_active())
		process_stack_forbid(
			"the program has had its system calls filtered (seccomp) before it "
			"had a flow");
}
