/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clock of a unit test of preload's, which stands still until the test sets it. Included once,
 * by the test itself. Not for the stack's tests, whose clock is a callback.
 */
#ifndef MELIN_TESTS_VIRTUAL_CLOCK_H
#define MELIN_TESTS_VIRTUAL_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "preload/libc/monotonic.h"

#define US 1000ull
#define MS 1000000ull

/* Nanoseconds. Later than any time that is to have passed since a beginning at 0. */
static uint64_t now = 1000000 * MS;

static int virtual_clock(clockid_t clock, struct timespec *time)
{
	(void)clock;
	time->tv_sec = (time_t)(now / 1000000000u);
	time->tv_nsec = (long)(now % 1000000000u);
	return 0;
}

int (*clock_of_libc)(clockid_t clock, struct timespec *now) = virtual_clock;

#endif
