/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See spin.h. Each thread keeps the share of its last waits that were no longer than MELIN_SPIN_US,
 * as a moving average. A wait counts whether the thread has polled or slept: so a thread that
 * sleeps at once by now notices when polling would pay again.
 *
 * Who polls on a processor that others want keeps them from their work, and with them perhaps the
 * very peer it waits for. Linux does not say who wants it; but sched_yield(2) lets them have it,
 * and the time that it takes tells.
 */
#include "preload/waiting/spin.h"

#include <sys/syscall.h>

#include "common/system_call.h"
#include "preload/libc/monotonic.h"
#include "preload/config/config.h"

/*
 * The share is in 1/256, and the last wait makes up an eighth of it. When less than half of the
 * waits are short, polling costs more processor time than it saves latency.
 */
#define SHARE_ALL    256
#define SHARE_ENOUGH 128
#define WEIGHT	     8

/* A yield takes some 0.3 us where nobody wants the processor: so often it costs little. */
#define YIELD_NS 5000u

/* One that takes longer than this has switched to another thread and back. */
#define SWITCHED_NS 2000u

/* A time between two looks that is longer than this: others have had the processor meanwhile. */
#define PREEMPTED_NS 100000u

/*
 * For so long the thread does not poll when others want more, and for twice as long each further
 * time, up to the longest: a program that computes should be in the way of few requests.
 */
#define CROWDED_NS     500000u
#define CROWDED_MAX_NS 500000000u

/*
 * When the thread has polled for so long and they have not, the time is halved again. A program
 * that computes is given the processor after 4 ms at the latest: this time does not pass.
 */
#define UNDISTURBED_NS 20000000u

/* Like short_share, of the thread. */
static __thread struct {
	uint64_t last_look, next_yield;
	uint64_t polled, others; /* how it was shared of late, in nanoseconds */
	uint64_t not_before;	 /* it does not poll before this time */
	uint64_t pause;		 /* how long that was */
} crowd;

/* A signal handler's waits may change it in the middle of a change: it is a share in any case. */
static __thread unsigned short_share = SHARE_ALL;

static uint64_t longest(void)
{
	unsigned limit = config_get()->spin_us;

	return limit == CONFIG_SPIN_MAX ? CLOCK_NEVER : limit * 1000ull;
}

uint64_t spin_budget(uint64_t now)
{
	uint64_t limit = longest();

	if (limit == CLOCK_NEVER)
		return limit;
	if (short_share < SHARE_ENOUGH || now < crowd.not_before)
		return 0;
	crowd.last_look = now;
	crowd.next_yield = now + YIELD_NS;
	return limit;
}

static void begin_anew(uint64_t pause)
{
	crowd.pause = pause;
	crowd.polled = 0;
	crowd.others = 0;
}

/* Others have had the processor for so long, until now. Returns whether that is too much. */
static bool note_others(uint64_t now, uint64_t duration)
{
	crowd.others += duration;
	if (crowd.others * SPIN_OTHERS_SHARE < crowd.polled + crowd.others)
		return false;
	if (crowd.pause > CROWDED_MAX_NS / 2)
		begin_anew(CROWDED_MAX_NS);
	else
		begin_anew(crowd.pause ? crowd.pause * 2 : CROWDED_NS);
	crowd.not_before = now + crowd.pause;
	return true;
}

static void note_polled(uint64_t duration)
{
	crowd.polled += duration;
	if (crowd.polled >= UNDISTURBED_NS)
		begin_anew(crowd.pause > CROWDED_NS ? crowd.pause / 2 : 0);
}

bool spin_is_crowded(uint64_t now)
{
	const uint64_t gap = now - crowd.last_look;

	crowd.last_look = now;
	if (__builtin_expect(gap < PREEMPTED_NS, 1))
		note_polled(gap);
	if (__builtin_expect(now < crowd.next_yield, 1) || longest() == CLOCK_NEVER)
		return false;
	if (gap >= PREEMPTED_NS)
		return note_others(now, gap);
	kernel_call(SYS_sched_yield, 0, 0, 0, 0);
	crowd.last_look = clock_monotonic();
	crowd.next_yield = crowd.last_look + YIELD_NS;
	return crowd.last_look - now >= SWITCHED_NS &&
	       note_others(crowd.last_look, crowd.last_look - now);
}

/*
 * How many messages there are to a sleep, in 1/16: a moving average, of which the last sleep is an
 * eighth. It begins high, so that a thread has slept some 16 times before it is said to sleep each
 * time.
 */
#define SERVED_ONE    16
#define SERVED_BEGINS (16 * SERVED_ONE)
#define SERVED_FEW    (SPIN_MESSAGES_FEW * SERVED_ONE)

static __thread unsigned served, served_average = SERVED_BEGINS;

void spin_slept(void)
{
	const unsigned last = served < UINT16_MAX ? served : UINT16_MAX;

	/* The sleep before has ended for something else: the message is still to come. */
	if (!served)
		return;
	served = 0;
	served_average = (served_average * (WEIGHT - 1) + last * SERVED_ONE) / WEIGHT;
}

bool spin_served(void)
{
	served++;
	return served_average < SERVED_FEW;
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
