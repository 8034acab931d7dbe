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
#include <sys/queue.h>
#include <time.h>

#include "common/system_call.h"
#include "preload/descriptors/source.h"

/* A thread that sleeps in a wait, or is about to. */
struct waiter {
	/*
	 * Whether it has been woken (enum in wait.c); the futex, too, on which it may sleep.
	 * waiter_wake() sets it before it wakes, and the kernel looks at it before it lets the
	 * thread sleep.
	 */
	_Atomic uint32_t woken;
	struct wake wake;
	int descriptor; /* the eventfd to wake it by, if it sleeps in ppoll(2); or -1 */
	bool watching;	/* it watches the device for all, or the background thread that does */
	LIST_ENTRY(waiter) sleeping;
};

/* Arranges for the thread to be woken once the caller holds no lock any more. wait_lock is held. */
void waiter_wake(struct waiter *waiter);

/* What a thread waits for. It is the first member of a structure with what its functions need. */
struct wait {
	/*
	 * Whether the wait has come to its end. Called without a lock, and again and again while
	 * the thread polls: it has to be cheap.
	 */
	bool (*ready)(struct wait *wait);
	/*
	 * Before the sleep: attaches a watch, whose notify() wakes waiter, to each source. After
	 * it: takes them off again. wait_lock is held for both.
	 */
	void (*enroll)(struct wait *wait, struct waiter *waiter);
	void (*withdraw)(struct wait *wait);
	/*
	 * The thread is cancelled in its sleep: gives back what the call holds, all but the
	 * signals. NULL: this wait is no cancellation point.
	 */
	void (*cancelled)(struct wait *wait);
	/*
	 * Descriptors of the kernel's that end the sleep, too, with room for WAIT_MORE_DESCRIPTORS
	 * behind them. ready() looks at them by itself. NULL: there are none.
	 */
	struct pollfd *kernel;
	nfds_t kernel_count;
	const sigset_t *mask; /* the thread's signal mask for the time of the wait, or NULL */
	uint64_t deadline;    /* ns of CLOCK_MONOTONIC; 0: it only looks; CLOCK_NEVER: no end */
	uint64_t now;	      /* the time at which ready() is called */
	/*
	 * ready() need not look at the kernel's descriptors: the thread's sleep does that next, or
	 * has just done it. And: if ready() says false, the thread sleeps at once.
	 */
	bool kernel_known, sleeps_next;
	/* After a handler with SA_RESTART the call begins anew: signal(7). */
	bool restarts;
	bool deaf; /* signals do not end the wait */
};

/* How many descriptors a sleeping thread adds: its eventfd, and the device if it watches it. */
#define WAIT_MORE_DESCRIPTORS 2

/*
 * While a thread polls it looks at descriptors of the kernel's only this often, since each look is
 * a system call, which takes much longer than a look at the stack.
 */
#define WAIT_KERNEL_LOOK_NS 2000

/* The same while the stack has something all the time, and each call of the program's looks. */
#define WAIT_KERNEL_LOOK_BUSY_NS 20000

/* Whether ready() is to look at descriptors of the kernel's; looked: when it last did. */
static inline bool wait_kernel_due(const struct wait *wait, uint64_t looked)
{
	return !wait->kernel_known &&
	       (wait->deadline <= wait->now + WAIT_KERNEL_LOOK_NS || /* it may be the last time */
		wait->now - looked >= WAIT_KERNEL_LOOK_NS);
}

/*
 * poll(2) without waiting. It is no cancellation point and does not touch errno. Returns the
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
 * Waits. The caller holds signals, as everybody does who has a reference to an object. Returns 1 if
 * ready() is true; 0 if the deadline has passed; -EINTR, or -ERESTART if the call restarts, when a
 * handler is to run, which it does as soon as the call has given back what it holds
 * (signals_outcome(), signals_release_under()). No watch is attached any more.
 */
int wait_for(struct wait *wait);

/* In the child of fork(), with wait_lock: the threads that sleep are not there. */
void wait_forked(void);

#endif
