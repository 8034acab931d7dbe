/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stack of this process: melin-stack.so is loaded and started when the first selected flow
 * needs it, given up in a child of fork(), and stopped when the process ends. Not for sockets.
 */
#ifndef MELIN_INSTANCE_H
#define MELIN_INSTANCE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "preload/process/status.h"
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
	/* Whether listeners wait for the stack now, and whether any has waited at any time. */
	bool (*any_waiting)(void);
	bool (*any_ever_waited)(void);
	/*
	 * Whether another thread waits for the device, which is another process's, and will start.
	 */
	bool (*is_awaited_elsewhere)(void);
	/* Called when a start begins, and when it has succeeded; then without a lock. */
	void (*start_begins)(void);
	void (*started)(void);
	/* The process ends, which one thread does, once, before the stack's end. NULL: nothing. */
	void (*ending)(bool in_handler);
};

/* Called once, before the first start. */
void process_stack_register(const struct process_stack_users *users);

/*
 * The stack that runs; NULL before the start, and in the child of a fork(). Its readers' acquire
 * pairs with the release with which the start stores it.
 */
extern _Atomic(const struct instance *) process_stack_current;

static inline const struct instance *process_stack_running(void)
{
	return atomic_load_explicit(&process_stack_current, memory_order_acquire);
}

/*
 * Starts the stack, unless it runs. NULL: it cannot start, and the reason has been logged once. If
 * that is a device which another process has, a later call tries again. A start takes long. Any
 * thread may call this.
 */
const struct instance *process_stack_start(void);

/*
 * The same after a failure that would be for good, if what was lacking is there now. The caller
 * holds no lock of melin's.
 */
const struct instance *process_stack_start_again(void);

/* Whether the parent had started a stack before the fork() that made this process. */
bool process_stack_is_parents(void);

/*
 * Whether a thread is starting the stack in process_stack_start(). Afterwards that thread gives the
 * listeners which wait to the stack: one that waited while this was true is among them.
 */
bool process_stack_is_starting(void);

/*
 * Whether a start was ever tried, here or in a parent before the fork: what it has taken is in the
 * process's memory.
 */
bool process_stack_is_in_memory(void);

/* Whether the last start has failed because another process has the device, and will be retried. */
bool process_stack_is_busy(void);

/*
 * Whether a start may succeed, as far as that can be seen without opening the device. False is for
 * good, and the reason has been logged once. It takes as long as loading the module. Any thread may
 * call this while it holds no lock of melin's.
 */
bool process_stack_can_listen(void);

/*
 * The program is about to lose rights that a start needs, and has no flow yet to start for: a
 * thread keeps them (keeper.h), unless no start can follow. The second function ends that thread.
 */
void process_stack_keep_rights(void);
void process_stack_end_keeping(void);

/*
 * Host mode, before the first start: there will be none, for that reason (a text for the log, and a
 * negative errno value), unless process_stack_start_again() is called. Nothing if a start has been
 * tried by now.
 */
void process_stack_refuse(int error, const char *why);

/*
 * Host mode: whether the process's limits leave what a start takes and as much again
 * (start_limits.h); if not, no start is tried, which the log says. To be asked before a thread of
 * melin's is made for a start, since that takes addresses as well. Once there was enough, and while
 * a start is under way, no look is taken. errno is as before.
 */
bool process_stack_fits_limits(void);

/* No start is tried from now on. why is a constant text for the log. */
void process_stack_forbid(const char *why);

/*
 * A listener at the stack's addresses has no stack: the log says, once in a process, that nobody
 * answers there.
 */
void process_stack_tell_unanswered(void);

/* The library has been loaded into a process. process_stack_forked() does the same for a child. */
void process_stack_process_begins(void);

/*
 * A child may be there that shares this process's memory, and is none of its threads (CLONE_VM), or
 * is no more. Behind a filter for system calls nobody knows which of the two ends: neither writes
 * the summary then.
 */
void process_stack_sharer_begins(void);
void process_stack_sharer_has_ended(void);

/*
 * The process ends: what was sent is delivered, for MELIN_LINGER_MS at most, the device is stopped,
 * and the summary line is written. From then on the calls of other threads on flows do not return,
 * and those of the calling thread fail. In a child that shares its parent's memory this does
 * nothing.
 */
void process_stack_stop(void);
/* Whether a stack runs in this process. A child that shares its parent's memory has none. */
bool process_stack_is_own(void);

/* A reason has been found for which no stack will run in this process. */
bool process_stack_has_failed(void);

/* Whether the stack has been stopped. A selected flow must not go by the kernel after that. */
bool process_stack_has_ended(void);

/*
 * Around fork(): the first waits for a start that another thread has begun, since the child could
 * do nothing with half a start. The third is called in the child, after the second.
 */
void process_stack_before_fork(void);
void process_stack_after_fork(void);
void process_stack_forked(void);

#endif
