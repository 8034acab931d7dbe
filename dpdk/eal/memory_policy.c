/* SPDX-License-Identifier: BSD-3-Clause */
/* See memory_policy.h. */
#include "dpdk/eal/memory_policy.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Written before DPDK starts, on the thread that starts it. */
static bool allowed;

void memory_policy_allow(void)
{
	allowed = true;
}

/*
 * melin-stack.so exports it, and libnuma, which is loaded with that, calls what comes first in the
 * order in which they are looked through. A libnuma of the program's own is not concerned.
 */
__attribute__((visibility("default"))) long set_mempolicy(int mode, const unsigned long *nodes,
							  unsigned long highest);

long set_mempolicy(int mode, const unsigned long *nodes, unsigned long highest)
{
	if (allowed)
		return syscall(SYS_set_mempolicy, mode, nodes, highest);
	errno = ENOSYS;
	return -1;
}
