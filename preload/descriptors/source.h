/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is told when an object becomes ready: each object has a source (descriptors.h), on which the
 * watches of sleeping threads and of epoll items hang. Not for what ready means, which is the
 * object's own, nor for the sleeping (wait.h).
 *
 * A thread that is woken takes the processor from its waker, where they share one, and asks for the
 * locks that the waker holds: each wake-up would cost two more. So it is done when the waker has
 * let go of them.
 */
#ifndef MELIN_SOURCE_H
#define MELIN_SOURCE_H

#include <pthread.h>
#include <stdint.h>

/*
 * Protects every source, watch, epoll item and ready list, and the list of sleepers (wait.c). It
 * comes after the stack's lock, which is held when an event arrives, so no call that takes the
 * stack's lock may be made while it is held: of the stack's operations only readiness().
 */
extern pthread_mutex_t wait_lock;

/*
 * Takes wait_lock, and releases it. After the release the thread's wakes are done, unless the
 * thread still holds other locks.
 */
void wait_lock_acquire(void);
void wait_lock_release(void);

/*
 * Around a stretch in which the thread holds another lock that the woken thread may want, such as
 * the stack's. They nest.
 */
void wakes_hold(void);
void wakes_release(void);

/* A wake-up that is to be done: part of a structure that belongs to the thread that is woken. */
struct wake {
	struct wake *next; /* of the same waker's */
	/* No lock is held. What it is part of may be gone as soon as this says that it is done. */
	void (*run)(struct wake *wake);
};

/* wait_lock is held. Nobody else adds it before it has run. */
void wake_add(struct wake *wake);

/* Something that becomes ready: a stack socket or an epoll instance. */
struct source {
	/*
	 * wait_notify() looks at it without the lock: the fences there and in watch_attach() pair.
	 */
	struct watch *watches;
};

/* Somebody's interest in a source. It is part of a structure of whoever is interested. */
struct watch {
	struct watch *next, **link; /* link is NULL while it is on no source */
	/* The source has become ready, for these EPOLL* events. wait_lock is held. */
	void (*notify)(struct watch *watch, uint32_t events);
};

/* wait_lock is held for both. It does no harm to detach a watch that is on no source. */
void watch_attach(struct source *source, struct watch *watch);
void watch_detach(struct watch *watch);

/* Notifies all watches of a source. The first takes wait_lock, the caller of the second has it. */
void wait_notify(struct source *source, uint32_t events);
void wait_notify_locked(struct source *source, uint32_t events);

#endif
