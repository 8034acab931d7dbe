/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Selected listeners before their first use in this process. They wait here for a stack that has
 * not started yet, or cannot because another process has the device. When it starts they go to it;
 * if it cannot for another reason they are the kernel's. Not for deciding which listeners are
 * selected (flow.h).
 *
 * A selected listener starts its stack when it is first waited on or accepted from, and not in
 * listen(): servers listen in one process and fork the one that serves. The first use of one starts
 * all but those that are shared with another process and were not used here since.
 *
 * Any thread may call these while it holds no lock of melin's; exceptions say so. None returns an
 * errno value, and errno may change: a listener that the stack cannot serve becomes the kernel's,
 * or under MELIN_REQUIRED one whose accept() fails with ENETDOWN.
 *
 * Locks, in their order: the start's (process_stack.c); listeners_lock, which who gives listeners
 * to the stack holds meanwhile; pending_lock, which protects the list and listener.next_pending;
 * wait_lock. The stack's own comes after listeners_lock and before wait_lock, and never with
 * pending_lock.
 */
#ifndef MELIN_PENDING_H
#define MELIN_PENDING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "preload/process/process_stack.h"

struct socket;

/*
 * The listener waits from now on; listener_wait() comes after that. The list has no reference
 * to it: when its last descriptor is closed it has to be forgotten before that reference goes.
 */
void pending_add(struct socket *socket);
void pending_forget(struct socket *socket);

/* Whether any waits. */
bool pending_any(void);

/*
 * A thread of melin's waits for the device, and the caller is another one: starting is left to it,
 * which may have rights that nobody else has any more.
 */
bool pending_is_awaited_elsewhere(void);

/* Whether there ever was such a listener, in this process or before the fork that made it. */
bool pending_was_any(void);

/*
 * A listener that nobody has used is the kernel's after all, since it was given the named option,
 * which only the kernel serves. False: it is in the stack already, or MELIN_REQUIRED forbids it.
 */
bool pending_leave(struct socket *socket, const char *option);

/* The program uses its listeners: the stack starts, and that takes long. */
void pending_first_use_all(void);
/*
 * The program waits on this one or accepts from it: the same, if it is the first use
 * (listener_is_unused()).
 */
void pending_first_use(struct socket *socket);

/*
 * Listeners are pending, and there was no fork() since. Set under pending_lock; cleared under it,
 * and when the stack starts (pending_start_begins()); read without.
 */
extern _Atomic bool pending_unused;
/*
 * The program is about to block on something else while its listeners have not been used, and it
 * has not forked since listen(): nobody else will use them, and peers may be coming. Not while
 * the stack starts: the caller may be a thread of DPDK's, or the very one that starts it.
 */
static inline void pending_before_blocking(void)
{
	if (__builtin_expect(atomic_load_explicit(&pending_unused, memory_order_relaxed), 0) &&
	    !process_stack_is_starting())
		pending_first_use_all();
}

/* Those that are shared with another process are this one's to use from now on. */
void pending_use_here(void);

/* The stack begins to start: nobody has to ask for it any more. */
void pending_start_begins(void);
/* The instance has started: the listeners of this process that were waiting start too. */
void pending_start(void);

/*
 * Around fork(): the list is whole, and all listeners are shared. listeners_lock and pending_lock
 * are held from the first to the second.
 */
void pending_before_fork(void);
void pending_after_fork(void);
void pending_forked(void); /* in the child, after the former */

#endif
