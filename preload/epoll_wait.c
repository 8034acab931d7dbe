/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll_wait and relatives: collecting from the ready list and from the kernel epoll, and
 * waiting for either. Not for registering: epoll.c.
 */
#include <errno.h>
#include <unistd.h>

#include "clock.h"
#include "epoll.h"
#include "epoll_item.h"
#include "memory.h"
#include "socket.h"
#include "signals.h"
#include "symbols.h"

struct epoll_waiting {
	struct wait wait;
	struct watch watch;
	struct waiter *waiter;
	struct epoll *epoll;
	int descriptor;
	struct epoll_event *events;
	int max, count;
	int error; /* of the kernel's epoll_wait: -errno */
	struct pollfd kernel;
};

/* ---- collecting ---- */

static void oneshot_fired(struct epoll_item *item)
{
	struct epoll_event nothing = { .data.u64 = item->epoll->tag };

	item->disabled = true;
	if (item->form == ITEM_MIXED)
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
		uint32_t ready;

		item = epoll->ready;
		atomic_store(&epoll->ready, item->next_ready);
		item->queued = false;
		ready = epoll_item_readiness(item);
		if (ready) {
			this->events[this->count].events = ready;
			this->events[this->count++].data.u64 = item->data;
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

		if (!item->disabled && libc()->poll(&half, 1, 0) > 0 && (half.revents & POLLIN)) {
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
	int count;

	if (this->count >= this->max || this->error || !kernel_due(this))
		return;
	atomic_store_explicit(&this->epoll->kernel_looked, this->wait.now, memory_order_relaxed);
	count = libc()->epoll_wait(this->descriptor, this->events + this->count,
				   this->max - this->count, 0);
	if (count < 0)
		this->error = errno == EINTR ? 0 : -errno;
	if (count <= 0)
		return;
	if (filter_tag(this->epoll, this->events + this->count, &count))
		kernel_half_fired(this->epoll);
	this->count += count;
}

/* ---- waiting ---- */

static bool epoll_ready(struct wait *wait)
{
	struct epoll_waiting *this = (struct epoll_waiting *)wait;

	int collected;

	if (this->count || this->error)
		return true;
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
	watch_attach(&this->epoll->source, &this->watch);
}

static void epoll_withdraw(struct wait *wait)
{
	watch_detach(&((struct epoll_waiting *)wait)->watch);
}

static void epoll_cancelled(struct wait *wait)
{
	epoll_put(((struct epoll_waiting *)wait)->epoll);
}

static int wait_mixed(struct epoll *epoll, int descriptor, struct epoll_event *events, int max,
		      uint64_t deadline, const sigset_t *mask)
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
		.descriptor = descriptor,
		.events = events,
		.max = max,
		.kernel = { .fd = descriptor, .events = POLLIN },
	};
	int result;

	/* Also if nothing of the kernel's is in it: another thread may add some meanwhile. */
	this.wait.kernel = &this.kernel;
	this.wait.kernel_count = 1;
	result = wait_for(&this.wait);
	if (this.count)
		return this.count;
	return this.error ? this.error : result < 0 ? result : 0;
}

/* ---- the epoll that holds kernel descriptors alone: libc's wait, until that changes ---- */

int epoll_kick_descriptor(void)
{
	static _Atomic int kick = -1;
	int descriptor = atomic_load(&kick), none = -1;

	if (descriptor >= 0 && descriptor_private(descriptor))
		return descriptor;
	none = descriptor;
	descriptor = descriptor_own_eventfd(1);
	if (descriptor < 0)
		return -1;
	if (atomic_compare_exchange_strong(&kick, &none, descriptor))
		return descriptor;
	descriptor_unprotect(descriptor);
	libc()->close(descriptor);
	return none;
}

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

static int wait_in_kernel(int descriptor, struct epoll_event *events, int max, uint64_t deadline,
			  const sigset_t *mask)
{
	struct timespec timeout = { 0 };
	uint64_t now;

	if (deadline != 0 && deadline != CLOCK_NEVER) {
		now = clock_monotonic();
		deadline = deadline > now ? deadline - now : 0;
		timeout.tv_sec = (time_t)(deadline / 1000000000u);
		timeout.tv_nsec = (long)(deadline % 1000000000u);
		if (libc()->epoll_pwait2) {
			int result = libc()->epoll_pwait2(descriptor, events, max, &timeout, mask);

			if (result >= 0 || errno != ENOSYS)
				return result < 0 ? -errno : result;
		}
		deadline = (deadline + 999999) / 1000000; /* milliseconds, never too early */
		if (deadline > INT32_MAX)
			deadline = INT32_MAX;
	}
	int milliseconds = deadline == CLOCK_NEVER ? -1 : (int)deadline;
	int result = libc()->epoll_pwait(descriptor, events, max, milliseconds, mask);

	return result < 0 ? -errno : result;
}

/* Waits in libc. Returns 0 also when stack sockets have come in: look at served again. */
static int wait_counted(struct epoll *epoll, int descriptor, struct epoll_event *events, int max,
			uint64_t deadline, const sigset_t *mask)
{
	int result = 0;

	/* Counted first, then looked at: served_more() does it the other way round. */
	atomic_fetch_add(&epoll->kernel_waiters, 1);
	if (atomic_load(&epoll->served) == 0)
		result = wait_in_kernel(descriptor, events, max, deadline, mask);
	came_out(epoll);
	return result;
}

int epoll_wait_on(struct epoll *epoll, int descriptor, struct epoll_event *events, int max,
		  uint64_t deadline, const sigset_t *mask)
{
	if (max <= 0)
		return -EINVAL;
	if (!memory_writable(events, sizeof(*events)))
		return -EFAULT;
	for (;;) {
		int result;

		if (atomic_load(&epoll->pending))
			epoll_use_listeners(epoll);
		if (atomic_load(&epoll->served))
			return wait_mixed(epoll, descriptor, events, max, deadline, mask);
		result = wait_counted(epoll, descriptor, events, max, deadline, mask);
		if (result < 0)
			return result;
		if (result > 0 && !filter_tag(epoll, events, &result))
			return result;
		if (result > 0 || (atomic_load(&epoll->served) == 0 && deadline != CLOCK_NEVER &&
				   clock_monotonic() >= deadline))
			return result;
	}
}
