/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long the way to the peer and back takes, in microseconds, and how long to wait for an answer
 * therefore (RFC 6298 with Linux's limits).
 */
#ifndef MELIN_ROUND_TRIP_H
#define MELIN_ROUND_TRIP_H

#include <stdint.h>

struct round_trip {
	uint32_t smoothed_us, deviation_us; /* RFC 6298; 0: not measured */
	uint32_t least_us;		    /* of the last minutes; 0: not measured */
	uint64_t least_at_us;		    /* when */
};

/* usual: with the peer's delay of the acknowledgement; least: without, as far as can be known. */
void round_trip_measured(struct round_trip *trip, uint32_t usual_us, uint32_t least_us,
			 uint64_t now_us);
/* The retransmission timeout, without back-off. */
uint32_t round_trip_timeout(const struct round_trip *trip);
/* The shortest time in which an answer can be expected. */
uint32_t round_trip_soonest(const struct round_trip *trip);

#endif
