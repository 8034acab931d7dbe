/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: poll, select and epoll with their relatives.
 */
#include <sys/single_threaded.h>

#include "preload/libc/cancellation.h"
#include "preload/libc/monotonic.h"
#include "preload/config/config.h"
#include "preload/waiting/epoll.h"
#include "preload/sockets/pending.h"
#include "preload/waiting/poll.h"
#include "preload/libc/result.h"
#include "preload/libc/signals.h"
#include "preload/libc/symbols.h"
#include "preload/calls/trace.h"
#include "preload/libc/thread.h"
#include "preload/libc/timeout.h"

/*
 * The program's time-out and mask, read in the kernel's order. result is as_libc()'s if one of them
 * is bad, whatever the call is about: libc's own functions would read the memory without asking.
 */
struct limits {
	uint64_t deadline;
	const sigset_t *mask;
	sigset_t mask_copy;
	int result;
};

static void read_limits(struct limits *limits, const struct timespec *timeout, const sigset_t *mask)
{
	cancellation_point();
	limits->result = timeout_deadline(timeout, &limits->deadline);
	if (limits->result == 0)
		limits->result = timeout_mask(mask, &limits->mask_copy, &limits->mask);
	if (limits->result == 0 && limits->deadline)
		pending_before_blocking();
}

/* ---- poll ---- */

INTERPOSED int poll(struct pollfd *set, nfds_t count, int timeout)
{
	RETURN_TRACED(poll, set, count, timeout);

	int result;

	if (timeout)
		pending_before_blocking();
	if (!config_active() || !poll_concerns(set, count))
		return libc()->poll(set, count, timeout);
	cancellation_point();
	if (poll_mixed(set, count, clock_deadline_ms(timeout), NULL, &result))
		return (int)as_libc(result);
	return libc()->poll(set, count, timeout);
}

INTERPOSED int __poll_chk(struct pollfd *set, nfds_t count, int timeout, size_t room)
{
	if (room / sizeof(*set) < count || !config_active())
		return libc()->__poll_chk(set, count, timeout, room);
	return poll(set, count, timeout);
}

INTERPOSED int ppoll(struct pollfd *set, nfds_t count, const struct timespec *timeout,
		     const sigset_t *mask)
{
	RETURN_TRACED(ppoll, set, count, timeout, mask);

	struct limits limits;
	int result;

	if (!config_active())
		return libc()->ppoll(set, count, timeout, mask);
	read_limits(&limits, timeout, mask);
	if (limits.result < 0)
		return (int)as_libc(limits.result);
	if (poll_concerns(set, count) &&
	    poll_mixed(set, count, limits.deadline, limits.mask, &result))
		return (int)as_libc(result);
	return libc()->ppoll(set, count, timeout, mask);
}

INTERPOSED int __ppoll_chk(struct pollfd *set, nfds_t count, const struct timespec *timeout,
			   const sigset_t *mask, size_t room)
{
	if (room / sizeof(*set) < count || !config_active())
		return libc()->__ppoll_chk(set, count, timeout, mask, room);
	return ppoll(set, count, timeout, mask);
}

/* ---- select ---- */

/* Linux's select(2) writes back how much of the time-out is left, if it can. */
static void write_back_left(struct timeval *timeout, uint64_t deadline)
{
	const struct timespec left = timeout_left(deadline);
	const struct timeval value = { .tv_sec = left.tv_sec, .tv_usec = left.tv_nsec / 1000 };

	if (timeout && deadline != CLOCK_NEVER)
		memory_copy_out(timeout, &value, sizeof(value));
}

INTERPOSED int select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		      struct timeval *timeout)
{
	RETURN_TRACED(select, count, readable, writable, exceptional, timeout);

	uint64_t deadline;
	int result;

	if (!config_active())
		return libc()->select(count, readable, writable, exceptional, timeout);
	cancellation_point();
	result = timeout_deadline_select(timeout, &deadline);
	if (result < 0)
		return (int)as_libc(result);
	if (deadline)
		pending_before_blocking();
	if (!select_mixed(count, readable, writable, exceptional, deadline, NULL, &result))
		return libc()->select(count, readable, writable, exceptional, timeout);
	write_back_left(timeout, deadline);
	return (int)as_libc(result);
}

INTERPOSED int pselect(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		       const struct timespec *timeout, const sigset_t *mask)
{
	RETURN_TRACED(pselect, count, readable, writable, exceptional, timeout, mask);

	struct limits limits;
	int result;

	if (!config_active())
		return libc()->pselect(count, readable, writable, exceptional, timeout, mask);
	read_limits(&limits, timeout, mask);
	if (limits.result < 0)
		return (int)as_libc(limits.result);
	if (select_mixed(count, readable, writable, exceptional, limits.deadline, limits.mask,
			 &result))
		return (int)as_libc(result);
	return libc()->pselect(count, readable, writable, exceptional, timeout, mask);
}

/* ---- epoll ---- */

/* DPDK, too, makes epoll instances, on threads of melin's. */
static int created(int descriptor)
{
	if (descriptor >= 0 && config_active() && !thread_is_own())
		epoll_created(descriptor);
	return descriptor;
}

INTERPOSED int epoll_create(int size)
{
	RETURN_TRACED(epoll_create, size);
	return created(libc()->epoll_create(size));
}

INTERPOSED int epoll_create1(int flags)
{
	RETURN_TRACED(epoll_create1, flags);
	return created(libc()->epoll_create1(flags));
}

INTERPOSED int epoll_ctl(int descriptor, int operation, int target, struct epoll_event *event)
{
	RETURN_TRACED(epoll_ctl, descriptor, operation, target, event);

	int result;

	if (descriptor_known(descriptor) &&
	    epoll_control(descriptor, operation, target, event, &result))
		return (int)as_libc(result);
	return libc()->epoll_ctl(descriptor_of_program(descriptor), operation,
				 descriptor_of_program(target), event);
}

/*
 * False: the descriptor is no epoll instance that melin knows. Signal handlers that were deferred
 * run at the end, under the mask.
 */
static bool wait_on_instance(int descriptor, struct epoll_event *events, int max, uint64_t deadline,
			     const sigset_t *mask, int *result)
{
	struct epoll *epoll;

	signals_hold();
	epoll = epoll_get(descriptor);
	if (epoll) {
		*result = epoll_wait_on(epoll, events, max, deadline, mask);
		epoll_put(epoll);
	}
	signals_release_under(epoll ? mask : NULL);
	return epoll != NULL;
}

static int wait_milliseconds(int descriptor, struct epoll_event *events, int max, int timeout,
			     const sigset_t *mask)
{
	int result;

	cancellation_point();
	if (timeout)
		pending_before_blocking();
	if (wait_on_instance(descriptor, events, max, clock_deadline_ms(timeout), mask, &result))
		return (int)as_libc(result);
	return libc()->epoll_pwait(descriptor_of_program(descriptor), events, max, timeout, mask);
}

INTERPOSED int epoll_pwait(int descriptor, struct epoll_event *events, int max, int timeout,
			   const sigset_t *mask)
{
	RETURN_TRACED(epoll_pwait, descriptor, events, max, timeout, mask);

	sigset_t copy;
	int result;

	if (!config_active())
		return libc()->epoll_pwait(descriptor_of_program(descriptor), events, max, timeout,
					   mask);
	result = timeout_mask(mask, &copy, &mask);
	if (result < 0)
		return (int)as_libc(result);
	return wait_milliseconds(descriptor, events, max, timeout, mask);
}

INTERPOSED int epoll_wait(int descriptor, struct epoll_event *events, int max, int timeout)
{
	RETURN_TRACED(epoll_wait, descriptor, events, max, timeout);
	/*
	 * Where it does not block, or where there is no other thread, nothing of the stack's can
	 * come into the instance meanwhile (but through a handler, which ends the call).
	 */
	if (!descriptor_known(descriptor) ||
	    ((timeout == 0 || __libc_single_threaded) && epoll_is_kernels(descriptor))) {
		if (timeout)
			pending_before_blocking();
		return libc()->epoll_wait(descriptor_of_program(descriptor), events, max, timeout);
	}
	return wait_milliseconds(descriptor, events, max, timeout, NULL);
}

INTERPOSED int epoll_pwait2(int descriptor, struct epoll_event *events, int max,
			    const struct timespec *timeout, const sigset_t *mask)
{
	RETURN_TRACED(epoll_pwait2, descriptor, events, max, timeout, mask);

	struct limits limits;
	int result;

	if (!config_active())
		return libc()->epoll_pwait2(descriptor_of_program(descriptor), events, max, timeout,
					    mask);
	read_limits(&limits, timeout, mask);
	if (limits.result < 0)
		return (int)as_libc(limits.result);
	if (wait_on_instance(descriptor, events, max, limits.deadline, limits.mask, &result))
		return (int)as_libc(result);
	return libc()->epoll_pwait2(descriptor_of_program(descriptor), events, max, timeout, mask);
}

INTERPOSED_ALIAS(poll, __poll);
INTERPOSED_ALIAS(select, __select);
