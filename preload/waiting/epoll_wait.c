/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll_wait(2) and its relatives: they collect events from the ready list and from the kernel's
 * instance, and wait for both. Not for epoll_ctl(2): epoll.c.
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
	uint64_t call; /* its number (calls in epoll.h), or 0 until it looks at the ready list */
	int error;     /* -errno or 0; it counts only if there is no event */
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

/* False: the program's memory is not there, and the item stays in the list. */
static bool report(struct epoll_waiting *this, struct epoll_item *item, uint32_t ready)
{
	struct epoll_event *event = &this->events[this->count];

	if (!memory_writable(event, sizeof(*event))) {
		this->error = -EFAULT;
		return false;
	}
	event->events = ready;
	event->data.u64 = item->data;
	this->count++;
	item->call = this->call;
	item->kernel_ready = false;
	return true;
}

static void unqueue_first(struct epoll *epoll)
{
	struct epoll_item *item = epoll->ready;

	atomic_store(&epoll->ready, item->next_ready);
	item->queued = false;
}

/*
 * Collects from the ready list. As in Linux, a level-triggered item that is reported goes to the
 * end of the list, so that the next call looks at it again, and what has found no room stays in
 * front: a program that takes few events at a time gets to all items in turn. What this call has
 * reported before goes there, too: no item may be in the events twice.
 */
static void collect_ready(struct epoll_waiting *this)
{
	struct epoll *epoll = this->epoll;
	struct epoll_item *item, *last;

	if (!atomic_load_explicit(&epoll->ready, memory_order_relaxed))
		return;
	wait_lock_acquire();
	if (!this->call)
		this->call = ++epoll->calls;
	last = epoll->ready ? epoll->ready_last : NULL;
	while (epoll->ready && this->count < this->max) {
		item = epoll->ready;
		const bool known = item->call == this->call;
		const uint32_t ready = epoll_item_readiness(item);

		if (ready && !known && !report(this, item, ready))
			break;
		unqueue_first(epoll);
		if (ready && !known && (item->events & EPOLLONESHOT))
			oneshot_fired(item);
		else if (known || (ready && !(item->events & EPOLLET)))
			epoll_item_queue(item);
		if (item == last)
			break;
	}
	wait_lock_release();
}

/*
 * The kernel has reported one or more of melin's own registrations, which all have the same data:
 * looks which of the mixed items have a kernel half that is ready, and queues these.
 */
static void kernel_half_fired(struct epoll *epoll)
{
	struct epoll_item *item;

	wait_lock_acquire();
	LIST_FOREACH(item, &epoll->mixed, every) {
		struct pollfd half = { .fd = item->descriptor, .events = POLLIN };

		if (!item->disabled && wait_look(&half, 1) > 0 && (half.revents & POLLIN)) {
			item->kernel_ready = true;
			epoll_item_queue(item);
		}
	}
	wait_lock_release();
}

/* Removes melin's own registrations from the kernel's events. True if there were any. */
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

/*
 * A program that takes few events at a time calls again at once. The kernel's instance is looked at
 * in each of its calls then, however recent the last look is, or the ready list alone would fill
 * the array each time. So it is while the instance has events: one that is level-triggered is in
 * each call's.
 */
#define FEW_EVENTS 8

static bool kernel_due(const struct epoll_waiting *this)
{
	const struct epoll *epoll = this->epoll;

	const uint64_t looked = atomic_load_explicit(&epoll->kernel_looked, memory_order_relaxed);

	if (this->wait.kernel_known ||
	    (!atomic_load(&epoll->kernel_items) && LIST_EMPTY(&epoll->mixed)))
		return false;
	if (!this->count && !atomic_load_explicit(&epoll->ready, memory_order_relaxed))
		return !this->wait.sleeps_next && wait_kernel_due(&this->wait, looked);
	return this->max < FEW_EVENTS || this->wait.deadline == 0 ||
	       atomic_load_explicit(&epoll->kernel_found, memory_order_relaxed) ||
	       this->wait.now - looked >= WAIT_KERNEL_LOOK_BUSY_NS;
}

static void collect_kernel(struct epoll_waiting *this)
{
	struct epoll *epoll = this->epoll;
	struct epoll_event *events = this->events + this->count;
	int descriptor, count;

	if (this->count >= this->max || this->error || !kernel_due(this))
		return;
	atomic_store_explicit(&epoll->kernel_looked, this->wait.now, memory_order_relaxed);
	/*
	 * If the program closes the descriptor meanwhile the instance has another one (keep_open()
	 * in epoll.c).
	 */
	do {
		descriptor = atomic_load(&epoll->descriptor);
		count = (int)kernel_call5(SYS_epoll_pwait, descriptor, (long)events,
					  this->max - this->count, 0, 0);
	} while (descriptor != atomic_load(&epoll->descriptor));
	atomic_store_explicit(&epoll->kernel_found, count > 0, memory_order_relaxed);
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

	if (this->count || this->error)
		return true;
	this->kernel[0].fd = atomic_load(&this->epoll->descriptor);
	/* The side that is first may fill a small array every time: so they take turns. */
	if (this->epoll->turn++ & 1) {
		collect_kernel(this);
		collect_ready(this);
	} else {
		collect_ready(this);
		collect_kernel(this);
		/* The kernel may have told of halves of mixed items, which are in the list now. */
		if (!LIST_EMPTY(&this->epoll->mixed))
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
			  /* One that only looks lets no signals in, other than poll(2). */
			  .mask = deadline == 0 ? NULL : mask,
			  .deaf = deadline == 0 },
		.watch = { .notify = epoll_notified },
		.epoll = epoll,
		.events = events,
		.max = max,
		.kernel = { { .events = POLLIN } },
	};
	int result;

	/* Even if nothing is registered in the kernel: another thread may add something. */
	this.wait.kernel = this.kernel;
	this.wait.kernel_count = 1;
	result = wait_for(&this.wait);
	if (this.count)
		return this.count;
	return this.error ? this.error : result < 0 ? result : 0;
}

/* ---- the epoll that holds kernel descriptors alone: libc's wait, until that changes ---- */

/*
 * A thread has left the kernel's wait. The last one removes the eventfd that has brought them out
 * (kick_descriptor() in epoll.c).
 */
static void came_out(struct epoll *epoll)
{
	if (atomic_fetch_sub(&epoll->kernel_waiters, 1) != 1 || epoll->kick < 0)
		return;
	wait_lock_acquire();
	if (epoll->kick >= 0 && atomic_load(&epoll->kernel_waiters) == 0) {
		libc()->epoll_ctl(epoll->descriptor, EPOLL_CTL_DEL, epoll->kick, NULL);
		epoll->kick = -1;
	}
	wait_lock_release();
}

static void counted_wait_cancelled(void *argument)
{
	struct epoll *epoll = argument;

	came_out(epoll);
	epoll_put(epoll);
}

/* epoll_pwait2(2) itself. Returns the number of events or -errno. */
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
	/* Linux before 5.11 has epoll_pwait(2) alone. In milliseconds, rounded up. */
	milliseconds =
		((uint64_t)left.tv_sec * 1000000000u + (uint64_t)left.tv_nsec + 999999) / 1000000;
	call.number = SYS_epoll_pwait;
	call.d = deadline == CLOCK_NEVER    ? -1
		 : milliseconds > INT32_MAX ? INT32_MAX
					    : (long)milliseconds;
	return (int)cancellation_call(&call, false, counted_wait_cancelled, epoll);
}

/*
 * The kernel's wait, during which the thread is counted. It returns 0 as well when the instance has
 * got sockets of the stack's meanwhile: the caller looks at served again.
 */
static int wait_counted(struct epoll *epoll, struct epoll_event *events, int max, uint64_t deadline,
			const sigset_t *mask)
{
	int result = 0;

	/* See struct epoll: served_more() raises served first and then looks at the count. */
	atomic_fetch_add(&epoll->kernel_waiters, 1);
	if (atomic_load(&epoll->served) == 0)
		result = wait_in_kernel(epoll, events, max, deadline, mask);
	came_out(epoll);
	return result;
}

/* The most events that Linux accepts room for (EP_MAX_EVENTS in its fs/eventpoll.c). */
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
