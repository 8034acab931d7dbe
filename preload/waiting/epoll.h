/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epoll with stack sockets in it. The program's epoll descriptor is a real kernel epoll that
 * holds the kernel's descriptors; items for stack sockets are kept here, in a ready list. What
 * has both a stack half and a kernel half (dual listeners, nested epolls) is a mixed item.
 * Not for poll and select (poll.c).
 */
#ifndef MELIN_EPOLL_H
#define MELIN_EPOLL_H

#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "preload/descriptors/descriptors.h"
#include "preload/waiting/wait.h"

struct epoll_item;

struct epoll {
	struct object object;
	struct epoll_item *items; /* all but mixed ones; wait_lock */
	struct epoll_item *mixed; /* wait_lock */
	/* Those that may be ready, oldest first; wait_lock, read without it as a hint. */
	struct epoll_item *_Atomic ready;
	struct epoll_item *ready_last;
	/* One of the program's numbers for it, or kept. */
	_Atomic int descriptor;
	int kept; /* melin's own duplicate, when the program has closed it during a wait; or -1 */
	_Atomic unsigned served;   /* stack and mixed items, and listeners before their first use */
	_Atomic unsigned pending;  /* of these the last kind */
	_Atomic bool kernel_items; /* the kernel epoll has or had descriptors in it */
	/* Threads inside libc's epoll_wait(); pairs with the look at served after counting. */
	_Atomic int kernel_waiters;
	int kick;      /* eventfd in the kernel epoll while such threads must come out; or -1 */
	unsigned turn; /* which side is collected first; races are harmless */
	_Atomic uint64_t kernel_looked; /* when the kernel epoll was last asked without waiting */
	uint64_t tag; /* the data of our own registrations in the kernel epoll: random */
};

/* The program made an epoll instance. */
void epoll_created(int descriptor);

/*
 * epoll_ctl(2). True if done with *result 0 or -errno, false if it is libc's to do (nothing
 * about it concerns the stack).
 */
bool epoll_control(int descriptor, int operation, int target, struct epoll_event *event,
		   int *result);

/*
 * epoll_wait(2) and relatives on an epoll of the program's that is known here. Times out as
 * struct wait says. A count or -errno; -EINTR as wait_for() says it.
 */
int epoll_wait_on(struct epoll *epoll, struct epoll_event *events, int max, uint64_t deadline,
		  const sigset_t *mask);

/*
 * Whether the descriptor is an epoll instance in which there is nothing of the stack's, as of now.
 * Takes no reference: the memory of an instance stays one's.
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
/* The kernel carries it again: items go back there. */
void epoll_given_back(struct object *object);
/* A listener that this process has not used yet, or not since a fork: epoll_wait() will. */
void epoll_listener_unused(struct object *object);

/* Whether a thread sleeps that waits for it: by itself or in an epoll, nested or not. */
bool epoll_is_waited_on(struct object *object);

/* Takes all items off an object that has no descriptor any more. */
void epoll_forget(struct object *object);

/* For the table of descriptors. */
extern const struct object_operations epoll_operations;

#endif
