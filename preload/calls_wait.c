/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: poll, select and epoll with their relatives.
 */
#include <errno.h>
#include <sys/single_threaded.h>

#include "clock.h"
#include "config.h"
#include "epoll.h"
#include "pending.h"
#include "poll.h"
#include "result.h"
#include "symbols.h"

static bool valid(const struct timespec *timeout)
{
	return !timeout ||
	       (timeout->tv_sec >= 0 && timeout->tv_nsec >= 0 && timeout->tv_nsec < 1000000000);
}

static bool may_block(const struct timespec *timeout)
{
	return !timeout || timeout->tv_sec || timeout->tv_nsec;
}

/* ---- poll ---- */

INTERPOSED int poll(struct pollfd *set, nfds_t count, int timeout)
{
	int result;

	if (timeout)
		pending_before_blocking();
	if (config_active() && poll_concerns(set, count) &&
	    poll_mixed(set, count, clock_deadline_ms(timeout), NULL, &result))
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
	int result;

	if (may_block(timeout))
		pending_before_blocking();
	if (config_active() && valid(timeout) && poll_concerns(set, count) &&
	    poll_mixed(set, count, clock_deadline_timespec(timeout), mask, &result))
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

/* Linux's select(2) writes back how much of the time-out is left. */
static void write_back(struct timeval *timeout, uint64_t deadline)
{
	uint64_t now = clock_monotonic();

	if (!timeout || deadline == CLOCK_NEVER)
		return;
	deadline = deadline > now ? (deadline - now) / 1000 : 0;
	timeout->tv_sec = (time_t)(deadline / 1000000);
	timeout->tv_usec = (suseconds_t)(deadline % 1000000);
}

INTERPOSED int select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		      struct timeval *timeout)
{
	uint64_t deadline = CLOCK_NEVER;
	int result;

	if (!timeout || timeout->tv_sec || timeout->tv_usec)
		pending_before_blocking();
	if (!config_active() || (timeout && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
		return libc()->select(count, readable, writable, exceptional, timeout);
	if (timeout) {
		struct timespec exact = { .tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000,
					  .tv_nsec = timeout->tv_usec % 1000000 * 1000 };

		deadline = clock_deadline_timespec(&exact);
	}
	if (!select_mixed(count, readable, writable, exceptional, deadline, NULL, &result))
		return libc()->select(count, readable, writable, exceptional, timeout);
	write_back(timeout, deadline);
	return (int)as_libc(result);
}

INTERPOSED int pselect(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		       const struct timespec *timeout, const sigset_t *mask)
{
	int result;

	if (may_block(timeout))
		pending_before_blocking();
	if (config_active() && valid(timeout) &&
	    select_mixed(count, readable, writable, exceptional, clock_deadline_timespec(timeout),
			 mask, &result))
		return (int)as_libc(result);
	return libc()->pselect(count, readable, writable, exceptional, timeout, mask);
}

/* ---- epoll ---- */

static int created(int descriptor)
{
	if (descriptor >= 0 && config_active())
		epoll_created(descriptor);
	return descriptor;
}

INTERPOSED int epoll_create(int size)
{
	return created(libc()->epoll_create(size));
}

INTERPOSED int epoll_create1(int flags)
{
	return created(libc()->epoll_create1(flags));
}

INTERPOSED int epoll_ctl(int descriptor, int operation, int target, struct epoll_event *event)
{
	int result;

	if (descriptor_known(descriptor) &&
	    epoll_control(descriptor, operation, target, event, &result))
		return (int)as_libc(result);
	return libc()->epoll_ctl(descriptor_of_program(descriptor), operation,
				 descriptor_of_program(target), event);
}

INTERPOSED int epoll_pwait(int descriptor, struct epoll_event *events, int max, int timeout,
			   const sigset_t *mask)
{
	struct epoll *epoll = epoll_get(descriptor);
	int result;

	if (timeout)
		pending_before_blocking();
	if (!epoll)
		return libc()->epoll_pwait(descriptor_of_program(descriptor), events, max, timeout,
					   mask);
	result = epoll_wait_on(epoll, descriptor, events, max, clock_deadline_ms(timeout), mask);
	epoll_put(epoll);
	return (int)as_libc(result);
}

INTERPOSED int epoll_wait(int descriptor, struct epoll_event *events, int max, int timeout)
{
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
	return epoll_pwait(descriptor, events, max, timeout, NULL);
}

INTERPOSED int epoll_pwait2(int descriptor, struct epoll_event *events, int max,
			    const struct timespec *timeout, const sigset_t *mask)
{
	struct epoll *epoll = valid(timeout) ? epoll_get(descriptor) : NULL;
	int result;

	if (may_block(timeout))
		pending_before_blocking();
	if (!epoll)
		return libc()->epoll_pwait2(descriptor_of_program(descriptor), events, max, timeout,
					    mask);
	result = epoll_wait_on(epoll, descriptor, events, max, clock_deadline_timespec(timeout),
			       mask);
	epoll_put(epoll);
	return (int)as_libc(result);
}

INTERPOSED_ALIAS(poll, __poll);
INTERPOSED_ALIAS(select, __select);
