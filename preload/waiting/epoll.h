/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll instances that have sockets of the stack's in them. The program's epoll descriptor is that
 * of a real instance of the kernel's, in which the kernel's descriptors are registered. For sockets
 * of the stack's melin keeps items itself, and a list of those that may be ready. A mixed item is
 * for what the kernel and the stack carry a half of (dual listeners, epoll instances inside of
 * others). Not for poll(2) and select(2): poll.c.
 */
#ifndef MELIN_EPOLL_H
#define MELIN_EPOLL_H

#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/queue.h>

#include "preload/descriptors/descriptors.h"
#include "preload/waiting/wait.h"

LIST_HEAD(epoll_item_list, epoll_item);

struct epoll {
	struct object object;
	/*
	 * All items are in one of two lists, which wait_lock protects: the mixed ones, and others.
	 */
	struct epoll_item_list items, mixed;
	/*
	 * The items that may be ready, the oldest first. wait_lock protects the list; whether there
	 * are any is looked at without it, as a hint.
	 */
	struct epoll_item *_Atomic ready;
	struct epoll_item *ready_last;
	_Atomic int descriptor; /* one of the program's numbers for it, or kept */
	int kept; /* melin's duplicate, if the program has closed it during a wait; or -1 */
	_Atomic unsigned served;   /* stack and mixed items, and listeners before their first use */
	_Atomic unsigned pending;  /* of these the listeners */
	_Atomic bool kernel_items; /* the kernel epoll has or had descriptors in it */
	/*
	 * How many threads wait by the kernel's epoll_wait() alone. A thread counts itself and then
	 * looks at served; who raises served looks at the count afterwards: one sees the other.
	 */
	_Atomic int kernel_waiters;
	int kick;	/* eventfd in the kernel epoll while such threads must come out; or -1 */
	uint64_t calls; /* of epoll_wait() that have come to the ready list: wait_lock */
	unsigned turn;	/* which side is collected first; races are harmless */
	_Atomic uint64_t kernel_looked; /* when the kernel epoll was last asked without waiting */
	_Atomic bool kernel_found;	/* and whether it had events then */
	uint64_t tag; /* the data of our own registrations in the kernel epoll: random */
};

/* The program has made an epoll instance: melin remembers it. */
void epoll_created(int descriptor);

/*
 * epoll_ctl(2). True if it is done, with 0 or -errno in *result; false if it is left to libc, since
 * nothing about it concerns the stack.
 */
bool epoll_control(int descriptor, int operation, int target, struct epoll_event *event,
		   int *result);

/*
 * epoll_wait(2) and its relatives on an instance that melin knows. deadline is struct wait's.
 * Returns the number of events or -errno; -EINTR as wait_for() does.
 */
int epoll_wait_on(struct epoll *epoll, struct epoll_event *events, int max, uint64_t deadline,
		  const sigset_t *mask);

/*
 * Whether the descriptor is an epoll instance that has nothing of the stack's in it now. No
 * reference is needed for that, since the memory of an instance is never used for anything else.
 */
bool epoll_is_kernels(int descriptor);

/* A reference to the epoll instance behind a descriptor, or NULL. */
struct epoll *epoll_get(int descriptor);
static inline void epoll_put(struct epoll *epoll)
{
	object_put(&epoll->object);
}

/* A socket's flow was decided: its items that were the kernel's change over, or are dropped. */
void epoll_taken_by_stack(struct object *object);
void epoll_left_to_kernel(struct object *object);
/*
 * Whether the kernel has an item of the object's that nobody can take from it, since the number by
 * which the program has added it is closed: the kernel would go on to report what it sees.
 */
bool epoll_is_out_of_reach(struct object *object);
/* The kernel carries the object again: its items go back to the kernel. */
void epoll_given_back(struct object *object);
/*
 * The object is a listener that this process has not used yet, or not since a fork: epoll_wait() on
 * an instance with it is its first use.
 */
void epoll_listener_unused(struct object *object);

/* Whether a thread sleeps that waits for the object, by itself or for an instance it is in. */
bool epoll_is_waited_on(struct object *object);

/* The object has no descriptor any more: its items are taken off it. */
void epoll_forget(struct object *object);

/* For the table of descriptors. */
extern const struct object_operations epoll_operations;

#endif
