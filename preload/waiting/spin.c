/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The share of a thread's last waits that were short enough to poll through, as a moving average:
 * spin.h. A sleep that was short counts as well as a spin that won, so a thread that sleeps at once
 * notices when polling would pay again.
 */
#include "preload/waiting/spin.h"

#include "preload/libc/monotonic.h"
#include "preload/config/config.h"

/*
 * In 1/256; each wait counts an eighth. Polling starts to cost more processor time than it saves
 * latency when it wins less often than every second time.
 */
#define SHARE_ALL    256
#define SHARE_ENOUGH 128
#define WEIGHT	     8

/* Handlers write it too: whatever comes of two writes at a time is a share. */
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

	/* Rounded so that both ends are reached. */
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
