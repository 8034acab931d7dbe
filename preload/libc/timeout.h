/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's pointers to time-outs and signal masks, read as the kernel reads them. Not for what
 * waits: wait.h.
 */
#ifndef MELIN_TIMEOUT_H
#define MELIN_TIMEOUT_H

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "preload/libc/monotonic.h"
#include "preload/libc/program_memory.h"

/* When the time-out ends; without one (NULL) never. 0, -EFAULT or -EINVAL, as in the kernel. */
static inline int timeout_deadline(const struct timespec *timeout, uint64_t *deadline)
{
	struct timespec copy;

	*deadline = CLOCK_NEVER;
	if (!timeout)
		return 0;
	if (!memory_copy_in(&copy, timeout, sizeof(copy)))
		return -EFAULT;
	if (copy.tv_sec < 0 || copy.tv_nsec < 0 || copy.tv_nsec >= 1000000000)
		return -EINVAL;
	*deadline = clock_deadline_timespec(&copy);
	return 0;
}

/*
 * The same for select(2), whose microseconds may be more than a second; libc looks at the lower 32
 * bits of them only.
 */
static inline int timeout_deadline_select(const struct timeval *timeout, uint64_t *deadline)
{
	struct timeval copy;
	struct timespec exact;

	*deadline = CLOCK_NEVER;
	if (!timeout)
		return 0;
	if (!memory_copy_in(&copy, timeout, sizeof(copy)))
		return -EFAULT;
	copy.tv_usec = (int32_t)copy.tv_usec;
	if (copy.tv_sec < 0 || copy.tv_usec < 0)
		return -EINVAL;
	exact.tv_sec = copy.tv_sec + copy.tv_usec / 1000000;
	exact.tv_nsec = copy.tv_usec % 1000000 * 1000;
	*deadline = clock_deadline_timespec(&exact);
	return 0;
}

/* What is left of it now. */
static inline struct timespec timeout_left(uint64_t deadline)
{
	const uint64_t now = clock_monotonic();
	const uint64_t left = deadline > now ? deadline - now : 0;

	return (struct timespec){ .tv_sec = (time_t)(left / 1000000000u),
				  .tv_nsec = (long)(left % 1000000000u) };
}

/*
 * The kernel's part of the program's mask into *copy, and *mask its address, or NULL. 0, -EFAULT.
 * SIGSEGV and SIGBUS are let in: program_memory.h's looks come in the middle of the call, too.
 */
static inline int timeout_mask(const sigset_t *from, sigset_t *copy, const sigset_t **mask)
{
	*mask = NULL;
	if (!from)
		return 0;
	sigemptyset(copy);
	if (!memory_copy_in(copy, from, sizeof(uint64_t)))
		return -EFAULT;
	sigdelset(copy, SIGSEGV);
	sigdelset(copy, SIGBUS);
	*mask = copy;
	return 0;
}

#endif
