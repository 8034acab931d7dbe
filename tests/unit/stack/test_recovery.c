/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What loss, repetition and reordering do to a transfer, in virtual time: how long it takes, how
 * much is sent in vain, and that the scoreboard is right after each step and empty at the end. The
 * random numbers are the same in each run, and the limits are wide enough for others.
 */
#include "tests/unit/stack/impairment.h"

static uint16_t port = 2000;

struct journey {
	const char *name;
	struct impairment path;
	uint64_t bytes;
	bool sack;
	double megabytes; /* a second, at least */
	unsigned again;	  /* sent again at most beyond what was lost */
	unsigned gap_ms;  /* without progress at most */
};

static const struct journey journeys[] = {
	{ "nothing happens", { .loss = 0 }, 20000000, true, 90, 40, 20 },
	{ "a short queue overflows", { .queue_bytes = 50000 }, 20000000, true, 60, 60, 50 },
	{ "0.1 % are lost", { .loss = .001 }, 20000000, true, 30, 40, 50 },
	{ "1 % are lost", { .loss = .01 }, 20000000, true, 9, 20, 50 },
	{ "1 % are lost in a rack", { .delay_us = 10, .loss = .01 }, 20000000, true, 60, 100, 50 },
	{ "3 % of all are lost", { .loss = .03, .loss_back = .03 }, 10000000, true, 5, 20, 300 },
	{ "10 % of all are lost", { .loss = .1, .loss_back = .1 }, 2000000, true, .1, 60, 8000 },
	{ "1 % come twice", { .duplicate = .01 }, 20000000, true, 80, 60, 50 },
	{ "1 % are 2 ms late", { .reorder = .01 }, 40000000, true, 60, 150, 50 },
	{ "1 % are a little late",
	  { .reorder = .01, .late_us = 200 },
	  20000000,
	  true,
	  60,
	  400,
	  50 },
	{ "1 % of each",
	  { .loss = .01, .duplicate = .01, .reorder = .01, .loss_back = .01 },
	  10000000,
	  true,
	  6,
	  200,
	  50 },
	{ "5 % of each",
	  { .loss = .05, .duplicate = .05, .reorder = .05, .loss_back = .05 },
	  2000000,
	  true,
	  .6,
	  200,
	  900 },
	{ "a long way", { .delay_us = 10000 }, 20000000, true, 30, 60, 100 },
	{ "1 % are lost on a long way",
	  { .delay_us = 10000, .loss = .01 },
	  2000000,
	  true,
	  .3,
	  20,
	  300 },
	{ "1 % are lost, no SACK", { .loss = .01 }, 10000000, false, 6, 120, 300 },
	{ "1 % of each, no SACK",
	  { .loss = .01, .duplicate = .01, .reorder = .01 },
	  5000000,
	  false,
	  2,
	  400,
	  500 },
};

static void test_journey(const struct journey *journey)
{
	struct transfer result =
		impairment_send(&journey->path, journey->bytes, port++, journey->sack);
	double megabytes = (double)journey->bytes / (double)result.us;
	unsigned needed = (unsigned)((journey->bytes + 1459) / 1460) + result.lost;

	tap_ok(result.whole, "%s: all arrives", journey->name);
	tap_ok(result.balanced, "%s: the marks and their sums agree, and none is left",
	       journey->name);
	tap_ok(megabytes >= journey->megabytes, "%s: %.1f MB/s", journey->name, megabytes);
	tap_ok(result.segments <= needed + journey->again, "%s: %u segments for %u", journey->name,
	       result.segments, needed);
	tap_ok(result.longest_us <= journey->gap_ms * 1000, "%s: no gap above %u us", journey->name,
	       result.longest_us);
}

static void run_tests(void)
{
	open_wire();
	srand(1);
	for (size_t i = 0; i < sizeof(journeys) / sizeof(journeys[0]); i++)
		test_journey(&journeys[i]);
	tap_ok(complaints == 0, "lwIP never complained");
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
