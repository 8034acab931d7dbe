/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a waiting call polls before it sleeps: MELIN_SPIN_US at most, and not at all when the
 * thread's waits have lately lasted longer than that. Not for the polling itself: wait.c.
 */
#ifndef MELIN_SPIN_H
#define MELIN_SPIN_H

#include <stdint.h>

/* Nanoseconds that this wait of the calling thread may poll for; CLOCK_NEVER: it never sleeps. */
uint64_t spin_budget(void);

/* It has ended with what it waited for, after so many nanoseconds, in whatever way it waited. */
void spin_learn(uint64_t nanoseconds);

/* It has ended without, at its time-out: if that was short, nothing is learnt. */
void spin_timed_out(uint64_t nanoseconds);

#endif
