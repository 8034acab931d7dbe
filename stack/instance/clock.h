/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stack's clock: CLOCK_MONOTONIC, read once for each call into the stack, so that a burst costs
 * one reading and all that it does happens at one time. Not for the timers that hang on it:
 * timers.h.
 */
#ifndef MELIN_CLOCK_H
#define MELIN_CLOCK_H

#include <stdint.h>
#include <time.h>

extern uint64_t melin_clock_updated; /* read it by the following */
/* The time of the last update; under the instance's lock. */
static inline uint64_t melin_clock_ns(void)
{
	return melin_clock_updated;
}
/* Reads the clock and returns the new time. */
uint64_t melin_clock_update(void);
/* The time now, in any thread and without the lock; not simulated. */
uint64_t melin_clock_now(void);
/* Whose clock_gettime(2) it is. Before there are other threads; NULL: whoever's comes first. */
void melin_clock_use(int (*clock)(clockid_t clock, struct timespec *now));
/* For tests: from now on update() returns what advance() made of it, starting at this time. */
void melin_clock_simulate(uint64_t start_ns);
void melin_clock_advance(uint64_t ns);

#endif
