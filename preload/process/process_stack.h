/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process's stack instance: loading melin-stack.so when the first selected flow needs it,
 * starting it once, giving it up in forked children, stopping it at exit. Not for sockets.
 */
#ifndef MELIN_INSTANCE_H
#define MELIN_INSTANCE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "stack/stack.h"

struct instance {
	const struct stack_operations *operations;
	struct stack *stack;
};

/*
 * What the start asks and tells the sockets, which are built on it. All but event, which is
 * stack_callbacks.event, are functions of pending.h, whose comments say more.
 */
struct process_stack_users {
	void (*event)(void *user, uint32_t events);
	/* Whether listeners wait for the stack, or ever did. */
	bool (*any_waiting)(void);
	bool (*any_ever_waited)(void);
	/* The device is another process's, and another thread of this one waits for it. */
	bool (*is_awaited_elsewhere)(void);
	/* A start begins; it has succeeded. The second is called without a lock. */
	void (*start_begins)(void);
	void (*started)(void);
	/* The process ends, which one thread does, once, before the stack's end. NULL: nothing. */
	void (*ending)(bool in_handler);
};

/* Once, before the first start. */
void process_stack_register(const struct process_stack_users *users);

/* NULL until started, and in a forked child. Pairs with the release store at the start. */
extern _Atomic(const struct instance *) process_stack_current;

static inline const struct instance *process_stack_running(void)
{
	return atomic_load_explicit(&process_stack_current, memory_order_acquire);
}

/*
 * Starts the stack unless it runs. Returns NULL if it cannot start; the reason was logged once.
 * A device that another process has is tried again later. Takes long; any thread.
 */
const struct instance *process_stack_start(void);

/* True in a process whose parent had started a stack before the fork. */
bool process_stack_is_parents(void);

/*
 * A thread is in process_stack_start(), and gives the waiting listeners to the stack after that:
 * one that waited when this was true is among them.
 */
bool process_stack_is_starting(void);

/* The last start failed because another process has the device: a later one may do better. */
bool process_stack_is_busy(void);

/*
 * Whether a start for a listener may succeed, as far as that is seen without the device: false has
 * been logged once and is for good. Any thread, without a lock of melin's; takes as long as loading
 * the module.
 */
bool process_stack_can_listen(void);

/*
 * The program is about to lose what a start takes, and has nothing to start for: a thread keeps it
 * (keeper.h), unless no start would come of that. The second ends this.
 */
void process_stack_keep_rights(void);
void process_stack_end_keeping(void);

/* From now on no start is tried: why, for the log, is constant. */
void process_stack_forbid(const char *why);

/* A listener on the stack's addresses has none: says once in a process that nobody answers. */
void process_stack_tell_unanswered(void);

/* The library is loaded; a child of fork() begins (process_stack_forked() does it). */
void process_stack_process_begins(void);

/*
 * Process exit: deliver what was sent, stop the device, write the summary line. Takes
 * MELIN_LINGER_MS and a little. From then on the calls of other threads on flows do not return; the
 * calling one gets errors. In a child that shares its parent's memory it does nothing.
 */
void process_stack_stop(void);
/* A stack runs, and in this process: not in a child that shares its parent's memory. */
bool process_stack_is_own(void);

/* A reason has been found for which no stack will run in this process. */
bool process_stack_has_failed(void);

/* That was called: there is no stack any more, and no flow may go another way. */
bool process_stack_has_ended(void);

/*
 * Around fork(): a start that is under way in another thread is waited for, since half of one
 * would be of no use to the child.
 */
void process_stack_before_fork(void);
void process_stack_after_fork(void);
void process_stack_forked(void); /* in the child, after the former */

/* Which flows were taken and which were left to libc, for the summary line. */
enum flow_count {
	FLOW_TAKEN_CONNECT,
	FLOW_TAKEN_LISTEN,
	FLOW_TAKEN_ACCEPT,
	FLOW_LEFT_RULE,	  /* no rule takes it, or a rule with ! */
	FLOW_LEFT_STACK,  /* the stack could not start */
	FLOW_LEFT_OPTION, /* a socket option that only the kernel has was set */
	FLOW_LEFT_ROUTE,  /* no address of its family, no route, not the stack's address */
	/* Host mode: each time that one is borrowed, and given back by reason (borrow.h). */
	FLOW_BORROWED,
	FLOW_RETURNED_CLOSED,
	FLOW_RETURNED_PEER,
	FLOW_RETURNED_PROCESS,
	FLOW_RETURNED_CALL,
	FLOW_RETURNED_PATH,
	FLOW_RETURNED_LOSS,
	FLOW_RETURNED_BULK,
	FLOW_RETURNED_IDLE,
	FLOW_RETURNED_RIGHTS,
	FLOW_RETURNED_CHANCE,
	FLOW_RETURNED_LOST, /* it could not be given back */
	/* Connections that were never borrowed. */
	FLOW_KEPT_RULE,
	FLOW_KEPT_UNPAID, /* too few messages, or never a good moment */
	FLOW_KEPT_OPTION, /* an option, filter or protocol that only the kernel serves */
	FLOW_KEPT_LOCAL,  /* the peer is this host */
	FLOW_KEPT_PATH,	  /* no Ethernet interface that frames can be taken from */
	FLOW_KEPT_UNSEEN, /* its frames did not come by as the socket's */
	FLOW_KEPT_RIGHTS,
	FLOW_KEPT_STACK, /* the stack could not start, or the kernel is too old */
	FLOW_COUNTS,
};
void flow_counted(enum flow_count which);

#endif
