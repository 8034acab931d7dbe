/* SPDX-License-Identifier: BSD-3-Clause */
/* Who sleeps on behalf of an instance, and how it is woken: wakeup.h. */
#include "stack/instance/wakeup.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>

#include "common/own_descriptor.h"
#include "common/system_call.h"

int wakeup_open(struct wakeup *wakeup)
{
	wakeup->kick = own_descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (wakeup->kick < 0)
		return -errno;
	wakeup->is_open = true;
	return 0;
}

void wakeup_close(struct wakeup *wakeup)
{
	if (wakeup->is_open)
		own_descriptor_close(wakeup->kick);
	wakeup->is_open = false;
}

void wakeup_sleep(struct wakeup *wakeup, int descriptor, uint64_t duration)
{
	struct pollfd descriptors[2] = {
		{ .fd = wakeup->kick, .events = POLLIN },
		{ .fd = descriptor, .events = POLLIN },
	};
	struct timespec timeout = {
		.tv_sec = (time_t)(duration / 1000000000u),
		.tv_nsec = (long)(duration % 1000000000u),
	};
	uint64_t count;

	kernel_call(SYS_ppoll, (long)descriptors, descriptor >= 0 ? 2 : 1,
		    duration == UINT64_MAX ? 0 : (long)&timeout, 0);
	if (descriptors[0].revents & POLLIN)
		kernel_call(SYS_read, wakeup->kick, (long)&count, sizeof(count), 0);
}

void wakeup_unpark(struct wakeup *wakeup)
{
	if (atomic_exchange(&wakeup->parked, 0))
		kernel_call(SYS_futex, (long)&wakeup->parked, FUTEX_WAKE_PRIVATE, 1, 0);
}

void wakeup_now(struct wakeup *wakeup)
{
	const uint64_t one = 1;

	wakeup_unpark(wakeup);
	if (wakeup->is_open)
		kernel_call(SYS_write, wakeup->kick, (long)&one, sizeof(one), 0);
}

bool wakeup_is_late(struct wakeup *wakeup, uint64_t deadline)
{
	if (wakeup->going_to_sleep) {
		wakeup->going_to_sleep = false;
		atomic_store(&wakeup->asleep_until, deadline);
		return false;
	}
	if (atomic_load_explicit(&wakeup->asleep_until, memory_order_relaxed) <= deadline)
		return false;
	return atomic_exchange(&wakeup->asleep_until, 0) > deadline;
}

void wakeup_note_poll(struct wakeup *wakeup, uint64_t now)
{
	const uintptr_t self = (uintptr_t)pthread_self();

	if (atomic_load_explicit(&wakeup->poller, memory_order_relaxed) != self) {
		atomic_store_explicit(
			&wakeup->other_poll,
			atomic_load_explicit(&wakeup->last_poll, memory_order_relaxed),
			memory_order_relaxed);
		atomic_store_explicit(&wakeup->poller, self, memory_order_relaxed);
	}
	atomic_store_explicit(&wakeup->last_poll, now, memory_order_relaxed);
}

bool wakeup_another_polled(const struct wakeup *wakeup, uint64_t now, uint64_t within)
{
	bool self = atomic_load_explicit(&wakeup->poller, memory_order_relaxed) ==
		    (uintptr_t)pthread_self();

	return now - atomic_load_explicit(self ? &wakeup->other_poll : &wakeup->last_poll,
					  memory_order_relaxed) <
	       within;
}
