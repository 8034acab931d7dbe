/* SPDX-License-Identifier: BSD-3-Clause */
/* See raw_calls.h. */
#include "preload/calls/raw_calls.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "preload/libc/program_memory.h"
#include "preload/libc/result.h"
#include "preload/libc/signals.h"
#include "preload/libc/timeout.h"

/* Bytes of the kernel's signal sets; libc's are larger. */
#define MASK_SIZE sizeof(uint64_t)

/* A mask of the wrong size is refused after the time-out was read. 0 or -errno. */
static int check(const struct timespec *timeout, const sigset_t *mask, size_t size,
		 uint64_t *deadline)
{
	const int result = timeout_deadline(timeout, deadline);

	return result < 0 ? result : mask && size != MASK_SIZE ? -EINVAL : 0;
}

/* As the kernel's poll_select_finish(): what cannot be written back is not. */
static long write_left(struct timespec *timeout, uint64_t deadline, long result)
{
	const struct timespec left = timeout_left(deadline);

	if (timeout && deadline && deadline != CLOCK_NEVER)
		memory_copy_out(timeout, &left, sizeof(left));
	return result;
}

long raw_ppoll(struct pollfd *set, nfds_t count, struct timespec *timeout, const sigset_t *mask,
	       size_t size)
{
	uint64_t deadline;
	const int bad = check(timeout, mask, size, &deadline);

	if (bad)
		return as_libc(bad);
	return write_left(timeout, deadline, ppoll(set, count, timeout, mask));
}

long raw_pselect6(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		  struct timespec *timeout, const void *sized_mask)
{
	struct {
		const sigset_t *mask;
		size_t size;
	} argument = { NULL, MASK_SIZE };
	uint64_t deadline;
	int bad;

	if (sized_mask && !memory_copy_in(&argument, sized_mask, sizeof(argument)))
		return as_libc(-EFAULT);
	bad = check(timeout, argument.mask, argument.size, &deadline);
	if (bad)
		return as_libc(bad);
	return write_left(timeout, deadline,
			  pselect(count, readable, writable, exceptional, timeout, argument.mask));
}

long raw_epoll_pwait(int descriptor, struct epoll_event *events, int max, int timeout,
		     const sigset_t *mask, size_t size)
{
	if (mask && size != MASK_SIZE)
		return as_libc(-EINVAL);
	return epoll_pwait(descriptor, events, max, timeout, mask);
}

long raw_epoll_pwait2(int descriptor, struct epoll_event *events, int max,
		      const struct timespec *timeout, const sigset_t *mask, size_t size)
{
	uint64_t deadline;
	const int bad = check(timeout, mask, size, &deadline);

	return bad ? as_libc(bad) : epoll_pwait2(descriptor, events, max, timeout, mask);
}

/* ---- rt_sigaction ---- */

/* The kernel's struct sigaction, of x86-64 and aarch64 alike. */
struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

/* In the flags: restorer is given. libc brings along one of its own, which does the same. */
#define WITH_RESTORER 0x04000000ul

static struct sigaction from_kernel(const struct kernel_action *kernel)
{
	struct sigaction action = { .sa_handler = kernel->handler,
				    .sa_flags = (int)(kernel->flags & ~WITH_RESTORER) };

	memcpy(&action.sa_mask, &kernel->mask, sizeof(kernel->mask));
	return action;
}

static struct kernel_action to_kernel(const struct sigaction *action)
{
	struct kernel_action kernel = { .handler = action->sa_handler,
					.flags = (unsigned)action->sa_flags,
					.restorer = action->sa_restorer };

	memcpy(&kernel.mask, &action->sa_mask, sizeof(kernel.mask));
	return kernel;
}

static int change(int number, const void *action, void *old)
{
	struct kernel_action kernel = { 0 };
	struct sigaction ours, before;
	int result;

	if (action && !memory_copy_in(&kernel, action, sizeof(kernel)))
		return -EFAULT;
	ours = from_kernel(&kernel);
	result = signals_action(number, action ? &ours : NULL, &before);
	kernel = to_kernel(&before);
	if (result == 0 && old && !memory_copy_out(old, &kernel, sizeof(kernel)))
		return -EFAULT;
	return result;
}

bool raw_rt_sigaction(int number, const void *action, void *old, size_t size, long *result)
{
	if (number >= __SIGRTMIN && number < SIGRTMIN)
		return false;
	*result = as_libc(size == MASK_SIZE ? change(number, action, old) : -EINVAL);
	return true;
}
