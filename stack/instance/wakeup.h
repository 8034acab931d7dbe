/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who sleeps on behalf of an instance, until when, and how it is woken; and which threads have
 * polled of late. One thread of the program or the background thread sleeps so at a time; others
 * start timers meanwhile, and must wake it if they are due before it wakes by itself. Not for the
 * rules by which threads take turns: background.h.
 */
#ifndef MELIN_WAKEUP_H
#define MELIN_WAKEUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wakeup {
	bool is_open; /* kick is there */
	int kick;     /* eventfd that ends the background thread's sleep */
	/* Futex: 1 while the background thread waits for watch_end() to wake it. */
	_Atomic uint32_t parked;
	/* Until when whoever sleeps on behalf of the stack does so; 0: woken, or nobody. */
	_Atomic uint64_t asleep_until;
	bool going_to_sleep; /* the lock's holder will be that sleeper when it lets go */

	/* Hints, each read alone: no order among them or with anything else. */
	_Atomic uint64_t last_poll;  /* CLOCK_MONOTONIC ns of the last poll by a program's thread */
	_Atomic uintptr_t poller;    /* which thread that was */
	_Atomic uint64_t other_poll; /* and when another thread last polled before it */
};

/* Makes kick. 0 or a negative errno value. */
int wakeup_open(struct wakeup *wakeup);
/* Nobody sleeps any more; also in the child of fork(). */
void wakeup_close(struct wakeup *wakeup);

/* Of the background thread: until kick, or until descriptor (-1: none) has input; ns. */
void wakeup_sleep(struct wakeup *wakeup, int descriptor, uint64_t duration);
/* Ends the background thread's wait for watch_end(). */
void wakeup_unpark(struct wakeup *wakeup);
/* Ends the background thread's sleep; better after the lock is let go of. */
void wakeup_now(struct wakeup *wakeup);
/*
 * deadline is when the next timer is due, as of now. Returns whether wakeup_now() must be called
 * because whoever sleeps, who was told of an earlier state of things, would be late for it. The
 * instance's lock is held.
 */
bool wakeup_is_late(struct wakeup *wakeup, uint64_t deadline);

/* A thread of the program has polled. */
void wakeup_note_poll(struct wakeup *wakeup, uint64_t now);
/*
 * Whether a thread other than the calling one has polled within so many ns. The words may be of
 * different polls: then it is a guess, and a wrong one costs a look.
 */
bool wakeup_another_polled(const struct wakeup *wakeup, uint64_t now, uint64_t within);

#endif
