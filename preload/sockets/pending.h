/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of selected listeners that have not been used in this process yet. They wait for a stack
 * that has not started, or that cannot start since another process has the device. When it starts
 * they are given to it; if it can never start they are the kernel's. Not for deciding which
 * listeners are selected (flow.h), nor for the states of each (listener.h).
 *
 * The stack starts with the first use of a listener, which is accept(2) or a wait on it, and not
 * with listen(2): servers listen in one process and fork the process that serves. The first use of
 * one listener starts all of them, except those that are shared with another process and have not
 * been used here since the fork.
 *
 * Any thread may call these functions while it holds no lock of melin's, unless it says otherwise.
 * None returns an error, and errno may change: a listener that the stack cannot serve becomes the
 * kernel's, or under MELIN_REQUIRED one whose accept(2) fails with ENETDOWN.
 *
 * Locks, in their order: start_lock (process_stack.c); listeners_lock, held while listeners are
 * given to the stack; pending_lock, which protects the list and listener.next_pending; wait_lock.
 * The stack's own lock comes after listeners_lock and before wait_lock, and is never taken together
 * with pending_lock.
 */
#ifndef MELIN_PENDING_H
#define MELIN_PENDING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "preload/process/process_stack.h"

struct socket;

/*
 * Puts a listener into the list, before listener_wait(), and takes it off. The list has no
 * reference to it: when its last descriptor is closed it has to be taken off before that reference
 * goes.
 */
void pending_add(struct socket *socket);
void pending_forget(struct socket *socket);

/* Whether the list has any. */
bool pending_any(void);

/*
 * Whether a thread of melin's waits for the device and the caller is another thread: then the start
 * is left to that thread, which may have rights that no other thread has any more.
 */
bool pending_is_awaited_elsewhere(void);

/* Whether there ever was one in the list, in this process or before the fork that made it. */
bool pending_was_any(void);

/*
 * A listener has got the named option, which only the kernel serves. If nobody has used it yet it
 * becomes the kernel's. False: it does not, since it is in the stack or MELIN_REQUIRED is set.
 */
bool pending_leave(struct socket *socket, const char *option);

/* The program uses its listeners: the stack starts, which takes long. */
void pending_first_use_all(void);
/*
 * The program waits on this listener or accepts from it. If that is its first use the stack starts,
 * as above; whether it is can be asked by listener_is_unused().
 */
void pending_first_use(struct socket *socket);

/*
 * Whether listeners wait in the list, and there was no fork() since the last one came. It is set
 * with pending_lock, cleared with it or when the stack starts (pending_start_begins()), and read
 * without.
 */
extern _Atomic bool pending_unused;
/*
 * The program is about to block on something else, has listeners that it has not used yet, and has
 * not forked since listen(2). No other process will use them, and peers may be coming: the stack
 * starts. Nothing is done while a start is under way, since the caller may be a thread of DPDK's
 * then, or the very thread that starts the stack.
 */
static inline void pending_before_blocking(void)
{
	if (__builtin_expect(atomic_load_explicit(&pending_unused, memory_order_relaxed), 0) &&
	    !process_stack_is_starting())
		pending_first_use_all();
}

/* This process uses all listeners in the list from now on, those that are shared among them. */
void pending_use_here(void);

/* The stack begins to start: nobody has to start it any more. */
void pending_start_begins(void);
/* The stack has started: the listeners in the list are given to it, but for shared ones. */
void pending_start(void);

/*
 * Around fork(): all dual listeners become shared. The first takes listeners_lock and pending_lock,
 * and the second releases them, so that the child finds the list whole. The third is called in the
 * child, after the second.
 */
void pending_before_fork(void);
void pending_after_fork(void);
void pending_forked(void);

#endif
