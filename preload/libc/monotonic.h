/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Monotonic time in nanoseconds, and conversions from the program's time-outs. Not for dates.
 */
#ifndef MELIN_CLOCK_H
#define MELIN_CLOCK_H

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define CLOCK_NEVER UINT64_MAX

/*
 * libc's clock_gettime(2), which is the vDSO's: no system call. Another preloaded library may stand
 * in front of it to change the time (faketime), and is not there any more when the process ends.
 */
extern int (*clock_of_libc)(clockid_t clock, struct timespec *now);
/* Finds it; until then it is whoever's comes first. In the library's constructor. */
void clock_resolve(void);

static inline uint64_t clock_monotonic(void)
{
	struct timespec now;

	clock_of_libc(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_after(uint64_t nanoseconds)
{
	uint64_t now = clock_monotonic();

	return nanoseconds > CLOCK_NEVER - now ? CLOCK_NEVER : now + nanoseconds;
}

/* A time-out in milliseconds as poll(2) takes it: negative is for ever, 0 not at all. */
static inline uint64_t clock_deadline_ms(int milliseconds)
{
	if (milliseconds < 0)
		return CLOCK_NEVER;
	if (milliseconds == 0)
		return 0;
	return clock_after((uint64_t)milliseconds * 1000000u);
}

/* The same for ppoll(2): NULL is for ever. The values were found valid before. */
static inline uint64_t clock_deadline_timespec(const struct timespec *timeout)
{
	if (!timeout)
		return CLOCK_NEVER;
	if (timeout->tv_sec == 0 && timeout->tv_nsec == 0)
		return 0;
	if ((uint64_t)timeout->tv_sec > CLOCK_NEVER / 1000000000u / 4)
		return CLOCK_NEVER;
	return clock_after((uint64_t)timeout->tv_sec * 1000000000u + (uint64_t)timeout->tv_nsec);
}

#endif
