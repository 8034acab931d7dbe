/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll_wait and relatives: collecting from the ready list and from the kernel epoll, and
 * waiting for either. Not for registering: epoll.c.
 */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "preload/libc/cancellation.h"
#include "preload/libc/monotonic.h"
#include "preload/waiting/epoll.h"
#include "preload/waiting/epoll_item.h"
#include "preload/libc/interruptible.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/signals.h"
#include "preload/libc/symbols.h"
#include "preload/libc/timeout.h"

struct epoll_waiting {
	struct wait wait;
	struct watch watch;
	struct waiter *waiter;
	struct epoll *epoll;
	struct epoll_event *events;
	int max, count;
	int error; /* -errno, if nothing is reported */
	struct pollfd kernel[1 + WAIT_MORE_DESCRIPTORS];
};

/* ---- collecting ---- */

static void oneshot_fired(struct epoll_item *item)
{
	struct epoll_event nothing = { .data.u64 = item->epoll->tag };

	item->disabled = true;
	if (item->form == FORM_MIXED)
		libc()->epoll_ctl(item->epoll->descriptor, EPOLL_CTL_MOD, item->descriptor,
				  &nothing);
}

/*
 * As in Linux, a level-triggered item that was reported goes to the end of the list, to be looked
 * at again by the next call, and what did not fit stays in front: small maxevents are fair.
 */
static void collect_ready(struct epoll_waiting *this)
{
	struct epoll *epoll = this->epoll;
	struct epoll_item *item, *last;

	if (!atomic_load_explicit(&epoll->ready, memory_order_relaxed))
		return;
	guarded_lock(&wait_lock);
	last = epoll->ready ? epoll->ready_last : NULL;
	while (epoll->ready && this->count < this->max) {
		struct epoll_event *event;
		uint32_t ready;

		item = epoll->ready;
		ready = epoll_item_readiness(item);
		event = &this->events[this->count];
		if (ready && !memory_writable(event, sizeof(*event))) {
			this->error = -EFAULT; /* the event stays */
			break;
		}
		atomic_store(&epoll->ready, item->next_ready);
		item->queued = false;
		if (ready) {
			event->events = ready;
			event->data.u64 = item->data;
			this->count++;
			item->kernel_ready = false;
			if (item->events & EPOLLONESHOT)
				oneshot_fired(item);
			else if (!(item->events & EPOLLET))
				epoll_item_queue(item);
		}
		if (item == last)
			break;
	}
	guarded_unlock(&wait_lock);
}

/* One of our own registrations in the kernel epoll has fired: which? */
static void kernel_half_fired(struct epoll *epoll)
{
	struct epoll_item *item;

	guarded_lock(&wait_lock);
	for (item = epoll->mixed; item; item = item->next) {
		struct pollfd half = { .fd = item->descriptor, .events = POLLIN };

		if (!item->disabled && wait_look(&half, 1) > 0 && (half.revents & POLLIN)) {
			item->kernel_ready = true;
			epoll_item_queue(item);
		}
	}
	guarded_unlock(&wait_lock);
}

/* Removes our own entries from what the kernel reported. Returns whether there was any. */
static bool filter_tag(const struct epoll *epoll, struct epoll_event *events, int *count)
{
	int kept = 0;

	for (int i = 0; i < *count; i++) {
		if (events[i].data.u64 == epoll->tag)
			continue;
		if (kept != i)
			events[kept] = events[i];
		kept++;
	}
	if (kept == *count)
		return false;
	*count = kept;
	return true;
}

/* A program that takes few events at a time comes back at once: each side is to have its turns. */
#define FEW_EVENTS 8

static bool kernel_due(const struct epoll_waiting *this)
{
	const struct epoll *epoll = this->epoll;

	if (!atomic_load(&epoll->kernel_items) && !epoll->mixed)
		return false;
	return this->max < FEW_EVENTS ||
	       wait_kernel_due(&this->wait,
			       atomic_load_explicit(&epoll->kernel_looked, memory_order_relaxed));
}

static void collect_kernel(struct epoll_waiting *this)
{
	struct epoll *epoll = this->epoll;
	struct epoll_event *events = this->events + this->count;
	int descriptor, count;

	if (this->count >= this->max || this->error || !kernel_due(this))
		return;
	atomic_store_explicit(&epoll->kernel_looked, this->wait.now, memory_order_relaxed);
	/* If the program closes it meanwhile, melin keeps another: epoll_descriptor_closed(). */
	do {
		descriptor = atomic_load(&epoll->descriptor);
		count = (int)kernel_call5(SYS_epoll_pwait, descriptor, (long)events,
					  this->max - this->count, 0, 0);
	} while (descriptor != atomic_load(&epoll->descriptor));
	if (count < 0)
		this->error = count == -EINTR ? 0 : count;
	if (count <= 0)
		return;
	if (filter_tag(epoll, events, &count))
		kernel_half_fired(epoll);
	this->count += count;
}

/* ---- waiting ---- */

static bool epoll_ready(struct wait *wait)
{
	struct epoll_waiting *this = (struct epoll_waiting *)wait;

	int collected;

	if (this->count || this->error)
		return true;
	this->kernel[0].fd = atomic_load(&this->epoll->descriptor);
	/* Whoever is first could fill a small array every time: take turns. */
	if (this->epoll->turn++ & 1) {
		collect_kernel(this);
		collect_ready(this);
	} else {
		collect_ready(this);
		collected = this->count;
		collect_kernel(this);
		/* Again, if the kernel's part had news, only when that names nothing twice. */
		if (!collected)
			collect_ready(this);
	}
	return this->count || this->error;
}

static void epoll_notified(struct watch *watch, uint32_t events)
{
	struct epoll_waiting *this =
		(struct epoll_waiting *)((char *)watch - offsetof(struct epoll_waiting, watch));

	(void)events;
	waiter_wake(this->waiter);
}

static void epoll_enroll(struct wait *wait, struct waiter *waiter)
{
	struct epoll_waiting *this = (struct epoll_waiting *)wait;

	this->waiter = waiter;
	watch_attach(&this->epoll->object.source, &this->watch);
}

static void epoll_withdraw(struct wait *wait)
{
	watch_detach(&((struct epoll_waiting *)wait)->watch);
}

static void epoll_cancelled(struct wait *wait)
{
	epoll_put(((struct epoll_waiting *)wait)->epoll);
}

static int wait_mixed(struct epoll *epoll, struct epoll_event *events, int max, uint64_t deadline,
		      const sigset_t *mask)
{
	struct epoll_waiting this = {
		.wait = { .ready = epoll_ready,
			  .enroll = epoll_enroll,
			  .withdraw = epoll_withdraw,
			  .cancelled = epoll_cancelled,
			  .deadline = deadline,
			  .mask = mask },
		.watch = { .notify = epoll_notified },
		.epoll = epoll,
		.events = events,
		.max = max,
		.kernel = { { .events = POLLIN } },
	};
	int result;

	/* Also if nothing of the kernel's is in it: another thread may add some meanwhile. */
	this.wait.kernel = this.kernel;
	this.wait.kernel_count = 1;
	result = wait_for(&this.wait);
	if (this.count)
		return this.count;
	return this.error ? this.error : result < 0 ? result : 0;
}

/* ---- the epoll that holds kernel descriptors alone: libc's wait, until that changes ---- */

/* The last thread to come out takes the kick away. */
static void came_out(struct epoll *epoll)
{
	if (atomic_fetch_sub(&epoll->kernel_waiters, 1) != 1 || epoll->kick < 0)
		return;
	guarded_lock(&wait_lock);
	if (epoll->kick >= 0 && atomic_load(&epoll->kernel_waiters) == 0) {
		libc()->epoll_ctl(epoll->descriptor, EPOLL_CTL_DEL, epoll->kick, NULL);
		epoll->kick = -1;
	}
	guarded_unlock(&wait_lock);
}

static void counted_wait_cancelled(void *argument)
{
	struct epoll *epoll = argument;

	came_out(epoll);
	epoll_put(epoll);
}

/* The kernel's own wait. A count or -errno. */
static int wait_in_kernel(struct epoll *epoll, struct epoll_event *events, int max,
			  uint64_t deadline, const sigset_t *mask)
{
	struct timespec left = timeout_left(deadline);
	struct system_call call = { SYS_epoll_pwait2,
				    atomic_load(&epoll->descriptor),
				    (long)events,
				    max,
				    deadline == CLOCK_NEVER ? 0 : (long)&left,
				    (long)mask,
				    sizeof(uint64_t) };
	int result = (int)cancellation_call(&call, false, counted_wait_cancelled, epoll);
	uint64_t milliseconds;

	if (result != -ENOSYS)
		return result;
	/* Linux before 5.11: milliseconds, never too early. */
	milliseconds =
		((uint64_t)left.tv_sec * 1000000000u + (uint64_t)left.tv_nsec + 999999) / 1000000;
	call.number = SYS_epoll_pwait;
	call.d = deadline == CLOCK_NEVER    ? -1
		 : milliseconds > INT32_MAX ? INT32_MAX
					    : (long)milliseconds;
	return (int)cancellation_call(&call, false, counted_wait_cancelled, epoll);
}

/* Waits in libc. Returns 0 also when stack sockets have come in: look at served again. */
static int wait_counted(struct epoll *epoll, struct epoll_event *events, int max, uint64_t deadline,
			const sigset_t *mask)
{
	int result = 0;

	/* Counted first, then looked at: served_more() does it the other way round. */
	atomic_fetch_add(&epoll->kernel_waiters, 1);
	if (atomic_load(&epoll->served) == 0)
		result = wait_in_kernel(epoll, events, max, deadline, mask);
	came_out(epoll);
	return result;
}

/* Linux's EP_MAX_EVENTS. */
#define EVENTS_MAX (INT_MAX / (int)sizeof(struct epoll_event))

int epoll_wait_on(struct epoll *epoll, struct epoll_event *events, int max, uint64_t deadline,
		  const sigset_t *mask)
{
	if (max <= 0 || max > EVENTS_MAX)
		return -EINVAL;
	for (;;) {
		int result;

		if (atomic_load(&epoll->pending))
			epoll_use_listeners(epoll);
		if (atomic_load(&epoll->served))
			return wait_mixed(epoll, events, max, deadline, mask);
		result = wait_counted(epoll, events, max, deadline, mask);
		if (result < 0)
			return result;
		if (result > 0 && !filter_tag(epoll, events, &result))
			return result;
		if (result > 0 || (atomic_load(&epoll->served) == 0 && deadline != CLOCK_NEVER &&
				   clock_monotonic() >= deadline))
			return result;
	}
}
