/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stack's clock: clock.h.
 */
#include "stack/instance/clock.h"

#include "lwip/sys.h"

#include "stack/instance_parts.h"

uint64_t clock_read(const struct clock *clock)
{
	struct timespec now;

	clock->read(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void clock_start(struct clock *clock, int (*read)(clockid_t, struct timespec *))
{
	clock->read = read ? read : clock_gettime;
	clock_update(clock);
}

/* What lwIP reads, in milliseconds. */
u32_t sys_now(void)
{
	return (u32_t)(melin_clock_ns() / 1000000u);
}
