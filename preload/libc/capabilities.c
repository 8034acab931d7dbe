/* SPDX-License-Identifier: BSD-3-Clause */
/* See capabilities.h. Sets are read and written by system calls: libc has no functions for them. */
#include "preload/libc/capabilities.h"

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>

#include "preload/libc/program_memory.h"
#include "common/system_call.h"

/* What a device may need (REQUIREMENTS in libmelin(7)). */
static const unsigned needed[] = { CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_SYS_ADMIN,
				   CAP_BPF };

bool capabilities_shrink(const void *header, const void *data)
{
	struct __user_cap_data_struct now[2];
	const struct __user_cap_data_struct *next = data;
	bool whole;

	if (!memory_readable(header, sizeof(struct __user_cap_header_struct)) ||
	    !memory_readable(data, sizeof(*next)) || !kernel_capabilities(0, now))
		return false;
	/* Sets of the first version are half as long: such a program loses the other half. */
	whole = memory_readable(data, sizeof(now));
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (kernel_has_capability(now, needed[i]) &&
		    (!whole || !kernel_has_capability(next, needed[i])))
			return true;
	return false;
}

bool capabilities_may_lend(void)
{
	return kernel_has_right(CAP_NET_ADMIN) && kernel_has_right(CAP_NET_RAW);
}

bool capabilities_may_filter(void)
{
	return kernel_call(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0) != 0 ||
	       kernel_has_right(CAP_SYS_ADMIN);
}

void capabilities_keep(void)
{
	kernel_call(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0);
	kernel_call(SYS_unshare, CLONE_FS, 0, 0, 0);
}

static void use(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2], programs[2];
	unsigned wanted[2] = { 0 };

	if (!kernel_capabilities(0, sets) ||
	    !kernel_capabilities(kernel_call(SYS_getpid, 0, 0, 0, 0), programs))
		return;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		wanted[needed[i] / 32] |= 1u << needed[i] % 32;
	/* CAP_SYS_ADMIN, which includes CAP_BPF, is nearly as much as root has. */
	if (sets[CAP_BPF / 32].permitted & (1u << CAP_BPF % 32))
		wanted[CAP_SYS_ADMIN / 32] &= ~(1u << CAP_SYS_ADMIN % 32);
	for (int i = 0; i < 2; i++) {
		/*
		 * libc changes the user of all threads, and ends a program if one of them may not.
		 */
		sets[i].permitted &= wanted[i] | programs[i].permitted;
		sets[i].effective |= sets[i].permitted & wanted[i];
		sets[i].effective &= sets[i].permitted;
	}
	kernel_call(SYS_capset, (long)&header, (long)sets, 0, 0);
}

/*
 * libc changes the user of this thread by a signal of its own, which no function of libc's blocks.
 * Between the reading of the sets and the writing it would be undone: the thread might not become
 * what the others may next.
 */
void capabilities_use(void)
{
	const uint64_t all = UINT64_MAX;
	uint64_t before;

	kernel_call5(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof(all), 0);
	use();
	kernel_call5(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before), 0);
}

bool capabilities_exceed_programs(void)
{
	struct __user_cap_data_struct ours[2], programs[2];

	return kernel_capabilities(0, ours) &&
	       kernel_capabilities(kernel_call(SYS_getpid, 0, 0, 0, 0), programs) &&
	       ((ours[0].effective & ~programs[0].effective) ||
		(ours[1].effective & ~programs[1].effective));
}
