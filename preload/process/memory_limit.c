/* SPDX-License-Identifier: BSD-3-Clause */
/* See memory_limit.h. */
#include "preload/process/memory_limit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "common/system_call.h"
#include "preload/libc/program_memory.h"
#include "preload/process/process_stack.h"
#include "preload/process/start_limits.h"

/*
 * What the program has asked for, and what the kernel was given in its place, which is above 0 once
 * it was. A child of fork() has it, too. No lock, which another thread might hold at a fork.
 */
static struct raised {
	_Atomic rlim_t soft, hard, kernels_soft, kernels_hard;
} raised_addresses, raised_data;

static struct raised *raised_of(int resource)
{
	return resource == RLIMIT_AS ? &raised_addresses : &raised_data;
}

bool memory_limit_concerns(int resource)
{
	return (resource == RLIMIT_AS || resource == RLIMIT_DATA) && process_stack_is_in_memory();
}

static int kernel_limit(int resource, const struct rlimit *wanted, struct rlimit *before)
{
	return (int)kernel_call(SYS_prlimit64, 0, resource, (long)wanted, (long)before);
}

/* What the program takes for its limit: the kernel's, unless that is still the one from here. */
static struct rlimit seen(const struct raised *raised, const struct rlimit *kernels)
{
	if (kernels->rlim_max != atomic_load(&raised->kernels_hard) ||
	    kernels->rlim_cur != atomic_load(&raised->kernels_soft))
		return *kernels;
	return (struct rlimit){ atomic_load(&raised->soft), atomic_load(&raised->hard) };
}

static rlim_t with_room(rlim_t limit, rlim_t takes)
{
	return limit >= RLIM_INFINITY - takes ? RLIM_INFINITY : limit + takes;
}

static rlim_t lower(rlim_t a, rlim_t b)
{
	return a < b ? a : b;
}

/* A hard limit that the program may set the kernel lets it set: one with less room, if need be. */
static int set(int resource, const struct rlimit *wanted, const struct rlimit *programs,
	       const struct rlimit *kernels)
{
	const rlim_t takes = start_limits_taken(resource);
	struct raised *raised = raised_of(resource);
	struct rlimit limit = { .rlim_max = with_room(wanted->rlim_max, takes) };
	int error;

	if (wanted->rlim_cur > wanted->rlim_max)
		return -EINVAL;
	if (wanted->rlim_max <= programs->rlim_max)
		limit.rlim_max = lower(limit.rlim_max, kernels->rlim_max);
	limit.rlim_cur = lower(with_room(wanted->rlim_cur, takes), limit.rlim_max);
	error = kernel_limit(resource, &limit, NULL);
	if (error < 0)
		return error;
	atomic_store(&raised->soft, wanted->rlim_cur);
	atomic_store(&raised->hard, wanted->rlim_max);
	atomic_store(&raised->kernels_soft, limit.rlim_cur);
	atomic_store(&raised->kernels_hard, limit.rlim_max);
	return 0;
}

int memory_limit_change(int resource, const struct rlimit *wanted, struct rlimit *before)
{
	struct rlimit kernels, programs, copy;
	int error = kernel_limit(resource, NULL, &kernels);

	if ((wanted && !memory_copy_in(&copy, wanted, sizeof(copy))) ||
	    (before && !memory_writable(before, sizeof(*before))))
		return -EFAULT;
	programs = seen(raised_of(resource), &kernels);
	if (error == 0 && wanted)
		error = set(resource, &copy, &programs, &kernels);
	if (error == 0 && before)
		*before = programs;
	return error;
}
