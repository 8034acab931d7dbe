/* SPDX-License-Identifier: BSD-3-Clause */
/* See source.h. */
#include "preload/descriptors/source.h"

#include <stdatomic.h>
#include <stddef.h>

#include "preload/libc/signals.h"

pthread_mutex_t wait_lock = PTHREAD_MUTEX_INITIALIZER;

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
	guarded_lock(&wait_lock);
	wait_notify_locked(source, events);
	guarded_unlock(&wait_lock);
}
