/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stack's clock: clock.h.
 */
#include "stack/instance/clock.h"

#include <stdbool.h>

#include "lwip/sys.h"

static int (*read_clock)(clockid_t, struct timespec *) = clock_gettime;
uint64_t melin_clock_updated;
static bool simulated;

uint64_t melin_clock_now(void)
{
	struct timespec now;

	read_clock(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void melin_clock_use(int (*clock)(clockid_t, struct timespec *))
{
	read_clock = clock ? clock : clock_gettime;
}

uint64_t melin_clock_update(void)
{
	if (!simulated)
		melin_clock_updated = melin_clock_now();
	return melin_clock_updated;
}

void melin_clock_simulate(uint64_t start_ns)
{
	simulated = true;
	melin_clock_updated = start_ns;
}

void melin_clock_advance(uint64_t ns)
{
	melin_clock_updated += ns;
}

u32_t sys_now(void)
{
	return (u32_t)(melin_clock_updated / 1000000u);
}
