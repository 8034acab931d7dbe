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

struct background {
	pthread_t thread;
	bool running; /* the thread exists */
	bool without_rights;
	int kick; /* eventfd that ends its sleep */

	_Atomic bool stop;
	/* What the thread does when it has stopped: enum farewell in background.c. A futex. */
	_Atomic uint32_t farewell;
	unsigned linger_ms;		     /* and for how long; set before farewell */
	struct stack_counters last_counters; /* and what came of it; valid when that is done */
	_Atomic uint64_t last_poll;  /* CLOCK_MONOTONIC ns of the last poll by a program's thread */
	_Atomic uintptr_t poller;    /* which thread that was */
	_Atomic uint64_t other_poll; /* and when another thread last polled before it */
	uint64_t last_frame; /* when the last frame came, as of the poll that got it; the lock */
	/* Who sleeps on the device: enum watcher. Changed by compare-and-swap only. */
	_Atomic uint32_t watcher;
	_Atomic uint64_t watched_since; /* when the program's thread began; ns */
	_Atomic uint32_t parked; /* futex: 1 while the thread waits for watch_end() to wake it */

	/* Until when whoever sleeps on behalf of the stack does so; 0: woken, or nobody. */
	_Atomic uint64_t asleep_until;
	bool going_to_sleep; /* the lock's holder will be that sleeper when it lets go */
};

/* without_rights: the thread gives up all capabilities. */
int background_start(struct stack *stack, bool without_rights);
void background_stop(struct stack *stack);
/* In the child of fork(): the thread is not there. */
void background_abandon(struct stack *stack);
/* stack.h */
void background_farewell(struct stack *stack, unsigned linger_ms, struct stack_counters *counters);
/* A thread of the program has polled. */
void background_note_poll(struct stack *stack, uint64_t now);
/*
 * deadline is when the next timer is due, as of now. Returns whether background_wake() must be
 * called because whoever sleeps would be late for it. The lock is held.
 */
bool background_is_late(struct stack *stack, uint64_t deadline);
/* Ends the thread's sleep; better after the lock is let go of. */
void background_wake(struct stack *stack);

int background_watch_begin(struct stack *stack, unsigned slept, uint64_t *deadline_ns);
void background_watch_end(struct stack *stack, bool looked_after);

#endif
