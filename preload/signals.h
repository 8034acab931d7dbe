/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals and the library's locks. The program's handlers run behind a small one of ours, for two
 * reasons: a handler must not run while its thread holds a lock of melin's (it might read or
 * write a stack socket and wait for that lock for ever), and a call that polls in user space must
 * learn that a handler ran (EINTR) and whether the call is to be restarted (SA_RESTART).
 *
 * A signal that arrives while a lock is held waits until the lock is released: well below a
 * millisecond. Handlers for SIGSEGV and the other faults are never touched, and nothing is
 * touched in a process without flow rules.
 */
#ifndef MELIN_SIGNALS_H
#define MELIN_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct waiter;

struct signals_thread {
	/* All are this thread's alone; volatile, since its own handlers change them. */
	volatile int depth;		/* locks held */
	volatile uint64_t deferred;	/* signals that wait for depth 0, as the kernel counts */
	volatile unsigned handled;	/* handlers that have run */
	volatile unsigned interrupting; /* of these, without SA_RESTART */
	struct waiter *volatile waiter; /* about to sleep or asleep: a handler wakes it */
	void (*volatile wake)(struct waiter *waiter); /* with this, which takes no lock */
};

/* libmelin.so is there from the start of the process: its thread variables need no call. */
extern __thread struct signals_thread signals_thread __attribute__((tls_model("initial-exec")));

void signals_run_deferred(void);

/* Around every stretch in which a lock of melin's is held; they nest. */
static inline void signals_hold(void)
{
	signals_thread.depth++;
	__asm__ volatile("" ::: "memory"); /* the handler of this very thread must see it first */
}

static inline void signals_release(void)
{
	__asm__ volatile("" ::: "memory");
	if (--signals_thread.depth == 0 && signals_thread.deferred)
		signals_run_deferred();
}

/* pthread_mutex_lock() and _unlock() of melin's own locks, with the above. */
static inline void guarded_lock(pthread_mutex_t *mutex)
{
	signals_hold();
	pthread_mutex_lock(mutex);
}

static inline void guarded_unlock(pthread_mutex_t *mutex)
{
	pthread_mutex_unlock(mutex);
	signals_release();
}

/* Around fork(): no other thread is in the middle of a change. In the child, too. */
void signals_before_fork(void);
void signals_after_fork(void);

/*
 * From now on the process has peers that are to hear of its end: handlers of melin's stand in for
 * the default actions that end a process, call farewell() and let the signal end it. The program
 * and its children see default actions. Not so in the first process of a pid namespace, which these
 * signals do not end. farewell() is called in a handler whose thread holds no lock of melin's; it
 * may have been interrupted anywhere else.
 */
void signals_stand_in(void (*farewell)(void));

/* sigaction(2) for the program: 0 or -errno. */
int signals_action(int number, const struct sigaction *action, struct sigaction *old);

#endif
