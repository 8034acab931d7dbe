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

struct clock {
	uint64_t updated; /* ns: the time of the last update; under the instance's lock */
	/* clock_gettime(2); fixed after clock_start(). A test's own one makes time virtual. */
	int (*read)(clockid_t clock, struct timespec *now);
};

/* read: whose clock_gettime(2) it is; NULL: whoever's the dynamic linker finds first. */
void clock_start(struct clock *clock, int (*read)(clockid_t clock, struct timespec *now));
/* The time now, ns; in any thread and without the lock. */
uint64_t clock_read(const struct clock *clock);
/* Reads the clock and returns the new time. */
static inline uint64_t clock_update(struct clock *clock)
{
	clock->updated = clock_read(clock);
	return clock->updated;
}

#endif
