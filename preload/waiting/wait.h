/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting: the loop in which a thread polls the stack for a while and then sleeps. Blocking calls,
 * poll, select and epoll are all built on it. Not for what ready means, which each caller brings as
 * a function, nor for who is told that an object is ready (source.h).
 */
#ifndef MELIN_WAIT_H
#define MELIN_WAIT_H

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/system_call.h"
#include "preload/descriptors/source.h"

/* A thread that sleeps or is about to. */
struct waiter {
	_Atomic uint32_t woken; /* the futex it may sleep on; pairs with waiter_wake() */
	int descriptor;		/* its eventfd while it sleeps in ppoll(2), or -1 */
	bool watching; /* it watches the device for all sleepers, or the thread that does */
	struct waiter *next, **link;
};

void waiter_wake(struct waiter *waiter); /* wait_lock held */

/* What a thread waits for; embedded in what the callbacks need besides. */
struct wait {
	/* Looks; true ends the wait. No lock held. Called again and again: keep it cheap. */
	bool (*ready)(struct wait *wait);
	/* Attaches watches that wake waiter to all sources; wait_lock held. And undoes it. */
	void (*enroll)(struct wait *wait, struct waiter *waiter);
	void (*withdraw)(struct wait *wait);
	/*
	 * The thread is cancelled while it sleeps: gives back what the call holds but the signals.
	 * NULL: this wait is no cancellation point.
	 */
	void (*cancelled)(struct wait *wait);
	/*
	 * Kernel descriptors to sleep on as well, and room for WAIT_MORE_DESCRIPTORS behind them.
	 * ready() looks at them itself. NULL: none.
	 */
	struct pollfd *kernel;
	nfds_t kernel_count;
	const sigset_t *mask; /* for the duration of the wait, or NULL */
	uint64_t deadline;    /* CLOCK_MONOTONIC ns; 0: look once; CLOCK_NEVER */
	uint64_t now;	      /* for ready(): when it is called */
	/* Begins anew after a handler with SA_RESTART: receive and send without a time-out do. */
	bool restarts;
	bool deaf; /* no signal ends it */
};

/* Entries that a sleeping thread adds to the set of what it waits for. */
#define WAIT_MORE_DESCRIPTORS 2

/*
 * A look at the kernel's descriptors is a system call, and longer than one at the stack. Who polls
 * takes it this often only; the sleep that follows is on those descriptors as well.
 */
#define WAIT_KERNEL_LOOK_NS 2000

/* Whether ready() should look at them; looked: when it last did. */
static inline bool wait_kernel_due(const struct wait *wait, uint64_t looked)
{
	return wait->deadline <= wait->now + WAIT_KERNEL_LOOK_NS || /* it may be the last time */
	       wait->now - looked >= WAIT_KERNEL_LOOK_NS;
}

/*
 * poll(2) that does not wait: neither is it a cancellation point, nor does it touch errno. The
 * kernel's result.
 */
static inline long wait_look(struct pollfd *set, nfds_t count)
{
	struct timespec at_once = { 0 };

	return kernel_call5(SYS_ppoll, (long)set, (long)count, (long)&at_once, 0, 0);
}

/*
 * What threads of the program do in passing, before they look whether they are ready: errand() if
 * it is due. It is called with no lock held, by several threads at a time perhaps. Set once.
 */
extern void (*wait_errand)(void);
extern _Atomic bool wait_errand_due;

/*
 * With signals held, as they are with any reference to an object. 1: ready() said so; 0: the
 * deadline has passed; -EINTR, or -ERESTART if it restarts: a handler is to run, as soon as the
 * call has given back what it holds (signals_outcome(), signals_release_under()). Nothing is
 * enrolled any more.
 */
int wait_for(struct wait *wait);

/* In the child of fork(), wait_lock held: nobody sleeps there. */
void wait_forked(void);

#endif
