/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much may be on its way: CUBIC (RFC 9438) as Linux has it by default, and how the window
 * shrinks during recovery (RFC 6937). In bytes. Not for what is lost: recovery.h.
 */
#ifndef MELIN_CONGESTION_H
#define MELIN_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

struct congestion {
	uint32_t window;
	uint32_t threshold; /* below it: slow start */

	/* CUBIC; all 0 while it has seen no loss */
	uint32_t most;	     /* the window at the last loss */
	uint32_t origin;     /* the plateau of the curve */
	uint32_t reno;	     /* what Reno would have by now */
	uint32_t plateau_ms; /* from the epoch's begin to the plateau */
	uint64_t epoch_us;   /* 0: it begins with the next acknowledgement */
	uint64_t growth;     /* fractions of bytes, times the window */
	uint64_t reno_growth;

	/* HyStart: the least round trip of this round and of the last */
	uint32_t round_end, round_least_us, round_samples;

	/* RFC 6937 */
	uint32_t flight_at_loss, delivered, sent;

	uint32_t undo_window, undo_threshold;
};

/* A connection begins: RFC 6928's window, or one segment after the handshake was lost. */
void congestion_start(struct congestion *congestion, uint32_t mss, bool handshake_lost);
/* Bytes have been acknowledged; only for a window that was used. round_trip_us: the least known. */
void congestion_acknowledged(struct congestion *congestion, uint32_t mss, uint32_t bytes,
			     uint64_t now_us, uint32_t round_trip_us);
/*
 * One of slow start's round trips; ends it when a queue grows. acknowledged and next are sequence
 * numbers: a round is over when what was the next one at its begin is acknowledged.
 */
void congestion_round_trip(struct congestion *congestion, uint32_t mss, uint32_t us,
			   uint32_t least_us, uint32_t acknowledged, uint32_t next);
/*
 * A segment is lost: lowers the threshold. Who reduces the window is congestion_recover(), or the
 * caller.
 */
void congestion_lost(struct congestion *congestion, uint32_t mss, uint32_t flight);
/* What was taken for lost had only been late: window and threshold become what they were. */
void congestion_undo(struct congestion *congestion);
/*
 * In fast recovery: so many bytes have arrived, pipe are on their way. progress: the
 * acknowledgement has moved on and nothing more was lost.
 */
void congestion_recover(struct congestion *congestion, uint32_t mss, uint32_t delivered,
			uint32_t pipe, bool progress);

#endif
