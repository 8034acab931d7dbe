/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The background thread, which polls when no thread of the program does, and the rules by which one
 * thread at a time watches the device while it sleeps. Not for the sleeping itself: wakeup.h.
 */
#ifndef MELIN_BACKGROUND_H
#define MELIN_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "stack/stack.h"

struct stack;

/* What the thread does before it ends by farewell(); it keeps the lock. */
typedef void background_last_act(struct stack *stack, unsigned linger_ms,
				 struct stack_counters *counters);

struct background {
	pthread_t thread;
	bool running;	     /* the thread exists */
	bool without_rights; /* it gives up its capabilities first */
	background_last_act *last_act;

	_Atomic bool stop; /* the thread is to end; it is woken afterwards */
	/* What the thread does when it has stopped: enum farewell in background.c. A futex. */
	_Atomic uint32_t farewell;
	unsigned linger_ms;		     /* and for how long; set before farewell */
	struct stack_counters last_counters; /* and what came of it; valid when that is done */
	/* Who sleeps on the device: enum watcher. Changed by compare-and-swap only. */
	_Atomic uint32_t watcher;
	_Atomic uint64_t watched_since; /* when the program's thread began; ns */
	uint64_t began;			/* when the thread was started; ns */
};

/*
 * Starts the thread, with every signal blocked. without_rights: it gives up all capabilities.
 * last_act: what it does for background_farewell(). 0, or a negative errno value.
 */
int background_start(struct stack *stack, bool without_rights, background_last_act *last_act);
/* Ends the thread and waits for it; without the lock. Nothing happens if there is none. */
void background_stop(struct stack *stack);
/* In the child of fork(), where the thread is not: closes what it has slept on. */
void background_abandon(struct stack *stack);
/* stack_operations.farewell */
void background_farewell(struct stack *stack, unsigned linger_ms, struct stack_counters *counters);

/* stack_operations.watch_begin and watch_end */
int background_watch_begin(struct stack *stack, unsigned slept, uint64_t *deadline_ns);
void background_watch_end(struct stack *stack, bool looked_after);

#endif
