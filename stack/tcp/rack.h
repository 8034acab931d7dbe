/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RACK (RFC 8985): a segment is lost if it was sent well before another one that has arrived. How
 * long before depends on how much reordering the path has shown.
 */
#ifndef MELIN_RACK_H
#define MELIN_RACK_H

#include <stdbool.h>
#include <stdint.h>

struct delivery;
struct recovery;
struct round_trip;
struct tcp_seg;

struct rack {
	uint64_t sent_us; /* when the newest that has arrived was sent */
	uint32_t end;	  /* and its end */
	uint32_t trip_us; /* how long it took */
	uint32_t highest; /* end of the highest that has arrived */
	bool known;	  /* something has arrived: these four are set */

	bool reordering_seen;
	uint8_t multiplier;  /* of the reordering window, in quarters of the least round trip */
	uint8_t persistence; /* recoveries until it is forgotten */
	bool in_round;	     /* the multiplier has been raised in the present round trip */
	uint32_t round_end;
};

void rack_start(struct rack *rack);
/* A segment that ends at end is now known to have arrived. */
void rack_delivered(struct rack *rack, const struct round_trip *trip, const struct tcp_seg *segment,
		    uint32_t end, uint64_t now_us);
/* After each acknowledgement: reordering that the peer tells by D-SACK widens the window. */
void rack_adapt(struct recovery *recovery, const struct delivery *delivery);
/* A recovery is over: after a few of them the multiplier falls back. */
void rack_recovered(struct rack *rack);
/*
 * Marks those segments lost that are lost by now. Returns after how many microseconds to look
 * again, because others may only be late; 0: there are none.
 */
uint32_t rack_detect(struct recovery *recovery, uint32_t acknowledged, uint64_t now_us);

#endif
