/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Round trips: round_trip.h.
 */
#include "stack/tcp/round_trip.h"

/* RFC 6298 2.1, and Linux's TCP_RTO_MIN: peers may delay an acknowledgement for as long. */
#define TIMEOUT_UNKNOWN_US 1000000
#define DEVIATION_LEAST_US 200000

/* As Linux's tcp_min_rtt_wlen: after so long a least round trip may be another path's. */
#define LEAST_LIFE_US (300ull * 1000000)

static uint32_t at_least_one(uint32_t us)
{
	return us ? us : 1;
}

void round_trip_measured(struct round_trip *trip, uint32_t usual_us, uint32_t least_us,
			 uint64_t now_us)
{
	int64_t error;

	usual_us = at_least_one(usual_us);
	least_us = at_least_one(least_us);
	if (!trip->least_us || least_us <= trip->least_us ||
	    now_us - trip->least_at_us > LEAST_LIFE_US) {
		trip->least_us = least_us;
		trip->least_at_us = now_us;
	}
	if (!trip->smoothed_us) {
		trip->smoothed_us = usual_us;
		trip->deviation_us = usual_us / 2;
		return;
	}
	error = (int64_t)usual_us - trip->smoothed_us;
	trip->smoothed_us = at_least_one((uint32_t)(trip->smoothed_us + error / 8));
	error = (error < 0 ? -error : error) - trip->deviation_us;
	trip->deviation_us = (uint32_t)(trip->deviation_us + error / 4);
}

uint32_t round_trip_timeout(const struct round_trip *trip)
{
	uint32_t variance = 4 * trip->deviation_us;

	if (!trip->smoothed_us)
		return TIMEOUT_UNKNOWN_US;
	return trip->smoothed_us + (variance > DEVIATION_LEAST_US ? variance : DEVIATION_LEAST_US);
}

/*
 * RFC 8985 takes the least round trip ever seen for that; when a queue has grown on the way that is
 * far too soon, and what was only late would make all behind it lost.
 */
uint32_t round_trip_soonest(const struct round_trip *trip)
{
	uint32_t usual =
		trip->smoothed_us > trip->deviation_us ? trip->smoothed_us - trip->deviation_us : 0;

	return usual > trip->least_us ? usual : trip->least_us;
}
