/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The background thread, which polls when no thread of the program does, and the rules by which one
 * thread at a time watches the device while it sleeps.
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
	bool running; /* the thread exists */
	bool without_rights;
	background_last_act *last_act;

	_Atomic bool stop;
	/* What the thread does when it has stopped: enum farewell in background.c. A futex. */
	_Atomic uint32_t farewell;
	unsigned linger_ms;		     /* and for how long; set before farewell */
	struct stack_counters last_counters; /* and what came of it; valid when that is done */
	/* Who sleeps on the device: enum watcher. Changed by compare-and-swap only. */
	_Atomic uint32_t watcher;
	_Atomic uint64_t watched_since; /* when the program's thread began; ns */
};

/* without_rights: the thread gives up all capabilities. last_act: see above. */
int background_start(struct stack *stack, bool without_rights, background_last_act *last_act);
void background_stop(struct stack *stack);
/* In the child of fork(): the thread is not there. */
void background_abandon(struct stack *stack);
/* stack.h */
void background_farewell(struct stack *stack, unsigned linger_ms, struct stack_counters *counters);

int background_watch_begin(struct stack *stack, unsigned slept, uint64_t *deadline_ns);
void background_watch_end(struct stack *stack, bool looked_after);

#endif
