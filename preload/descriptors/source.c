/* SPDX-License-Identifier: BSD-3-Clause */
/* See source.h. */
#include "preload/descriptors/source.h"

#include <stdatomic.h>
#include <stddef.h>

#include "preload/libc/signals.h"

pthread_mutex_t wait_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * The wakes that the calling thread still has to do. No handler of the program's runs while there
 * are any, since signals are held.
 */
static __thread struct wake *wakes;
static __thread int wakes_held;

void wake_add(struct wake *wake)
{
	wake->next = wakes;
	wakes = wake;
}

static void run_wakes(void)
{
	struct wake *wake;

	while ((wake = wakes)) {
		wakes = wake->next;
		wake->run(wake);
	}
}

void wakes_hold(void)
{
	signals_hold();
	wakes_held++;
}

void wakes_release(void)
{
	if (--wakes_held == 0 && __builtin_expect(wakes != NULL, 0))
		run_wakes();
	signals_release();
}

void wait_lock_acquire(void)
{
	wakes_hold();
	pthread_mutex_lock(&wait_lock);
}

void wait_lock_release(void)
{
	pthread_mutex_unlock(&wait_lock);
	wakes_release();
}

void watch_attach(struct source *source, struct watch *watch)
{
	watch->next = source->watches;
	watch->link = &source->watches;
	if (watch->next)
		watch->next->link = &watch->next;
	/*
	 * This store and this fence pair with the fence in wait_notify(): either whoever notifies
	 * sees this watch, or whoever has attached it sees, when it looks after this, the readiness
	 * that was stored before the notification.
	 */
	__atomic_store_n(&source->watches, watch, __ATOMIC_SEQ_CST);
	atomic_thread_fence(memory_order_seq_cst);
}

void watch_detach(struct watch *watch)
{
	if (!watch->link)
		return;
	__atomic_store_n(watch->link, watch->next, __ATOMIC_RELAXED);
	if (watch->next)
		watch->next->link = watch->link;
	watch->link = NULL;
}

void wait_notify_locked(struct source *source, uint32_t events)
{
	struct watch *watch = source->watches;

	while (watch) {
		struct watch *next = watch->next; /* notify() may detach its own watch */

		watch->notify(watch, events);
		watch = next;
	}
}

void wait_notify(struct source *source, uint32_t events)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (!__atomic_load_n(&source->watches, __ATOMIC_RELAXED))
		return;
	wait_lock_acquire();
	wait_notify_locked(source, events);
	wait_lock_release();
}
