/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See spin.h. Each thread keeps the share of its last waits that were no longer than MELIN_SPIN_US,
 * as a moving average. A wait counts whether the thread has polled or slept: so a thread that
 * sleeps at once by now notices when polling would pay again.
 */
#include "preload/waiting/spin.h"

#include "preload/libc/monotonic.h"
#include "preload/config/config.h"

/*
 * The share is in 1/256, and the last wait makes up an eighth of it. When less than half of the
 * waits are short, polling costs more processor time than it saves latency.
 */
#define SHARE_ALL    256
#define SHARE_ENOUGH 128
#define WEIGHT	     8

/* A signal handler's waits may change it in the middle of a change: it is a share in any case. */
static __thread unsigned short_share = SHARE_ALL;

static uint64_t longest(void)
{
	unsigned limit = config_get()->spin_us;

	return limit == CONFIG_SPIN_MAX ? CLOCK_NEVER : limit * 1000ull;
}

uint64_t spin_budget(void)
{
	uint64_t limit = longest();

	return limit == CLOCK_NEVER || short_share >= SHARE_ENOUGH ? limit : 0;
}

void spin_learn(uint64_t nanoseconds)
{
	unsigned before = short_share;

	/* Rounded up, so that the share gets to 0 and to SHARE_ALL. */
	if (nanoseconds <= longest())
		short_share = before + (SHARE_ALL - before + WEIGHT - 1) / WEIGHT;
	else
		short_share = before - (before + WEIGHT - 1) / WEIGHT;
}

void spin_timed_out(uint64_t nanoseconds)
{
	if (nanoseconds > longest())
		spin_learn(nanoseconds);
}
