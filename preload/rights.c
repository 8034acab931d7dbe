/* SPDX-License-Identifier: BSD-3-Clause */
/* See rights.h. */
#include "rights.h"

#include <linux/capability.h>
#include <sched.h>
#include <unistd.h>

#include "config.h"
#include "flow.h"
#include "instance.h"
#include "memory.h"
#include "pending.h"
#include "stack/kernel.h"

/* Linux 5.8; older headers do not have it. */
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

/* How long a process waits for a device that another one lets go of soon, and in what steps. */
#define WAIT_STEPS 20
#define WAIT_STEP  50000 /* microseconds */

/* What a device may need (REQUIREMENTS in libmelin(7)). */
static const unsigned needed[] = { CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_SYS_ADMIN,
				   CAP_BPF };

/*
 * Once they are lost a stack that another process keeps from starting cannot start any more. A
 * server that is told to start anew (nginx -s reload) begins before its old self ends.
 */
static void start_now(void)
{
	const struct timespec step = { .tv_nsec = WAIT_STEP * 1000l };

	pending_use_here();
	for (int i = 0; i < WAIT_STEPS && !instance_running(); i++) {
		if (pending_any())
			pending_first_use_all();
		else if (flow_any_undecided())
			instance_start();
		else
			return;
		if (!instance_is_busy())
			return;
		kernel_call(SYS_nanosleep, (long)&step, 0, 0, 0);
	}
}

static void before_losing(void)
{
	if (config_active() && !instance_running() && !instance_is_parents() &&
	    !instance_is_starting())
		start_now();
}

void rights_before_user(uid_t effective)
{
	if (config_active() && effective != 0 && effective != (uid_t)-1 && geteuid() == 0)
		before_losing();
}

static bool has(const struct __user_cap_data_struct *sets, unsigned capability)
{
	return sets[capability / 32].effective & (1u << capability % 32);
}

void rights_before_capabilities(const void *header, const void *data)
{
	struct __user_cap_header_struct version = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct now[2] = { 0 };
	const struct __user_cap_data_struct *next = data;

	/*
	 * Sets of the first version are half as long: such a program loses all in the other half.
	 */
	if (!config_active() || !memory_readable(header, sizeof(version)) ||
	    !memory_readable(data, sizeof(*next)) ||
	    kernel_call(SYS_capget, (long)&version, (long)now, 0, 0) < 0)
		return;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (has(now, needed[i]) &&
		    !(memory_readable(next, sizeof(now)) && has(next, needed[i]))) {
			before_losing();
			return;
		}
	}
}

void rights_before_moving(void)
{
	before_losing();
}

/*
 * A user namespace is for processes of one thread, and so is setns(2) with a mount namespace: the
 * stack's threads would make them fail.
 */
void rights_before_unshare(int flags)
{
	if ((flags & (CLONE_NEWNS | CLONE_NEWNET)) && !(flags & CLONE_NEWUSER))
		before_losing();
}

void rights_before_setns(int type)
{
	if (type == CLONE_NEWNET)
		before_losing();
}

void rights_before_seccomp(void)
{
	before_losing();
}

void rights_after_seccomp(void)
{
	if (config_active())
		instance_forbid("the program has had its system calls filtered (seccomp) before it "
				"had a flow");
}
