/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The congestion window: congestion.h.
 */
#include "stack/tcp/congestion.h"

#include "lwip/priv/tcp_priv.h"

#define INITIAL_SEGMENTS 10 /* RFC 6928 */
#define LEAST_SEGMENTS	 2  /* RFC 5681 (4) */

/* RFC 9438: beta, and Linux's value for it; C is 0.4 segments/s^3. */
#define BETA_NUMERATOR	 717u
#define BETA_DENOMINATOR 1024u
/* RFC 9438 4.3: 3 * (1 - beta) / (1 + beta), for the same growth as Reno's with its own beta. */
#define RENO_NUMERATOR	 9u
#define RENO_DENOMINATOR 17u

/* HyStart's limits as in Linux, and so many samples make a round. */
#define DELAY_LEAST_US	 4000u
#define DELAY_MOST_US	 16000u
#define ROUND_SAMPLES	 8u
#define HYSTART_SEGMENTS 16u /* in smaller windows nothing is judged */

/* Beyond this the curve is steeper than any growth that is allowed. */
#define CURVE_MS_MAX 100000

void congestion_start(struct congestion *congestion, uint32_t mss, bool handshake_lost)
{
	*congestion = (struct congestion){
		.window = handshake_lost ? mss : INITIAL_SEGMENTS * mss,
		.threshold = UINT32_MAX / 2,
	};
}

static uint32_t cube_root(uint64_t value)
{
	uint64_t root = 0;

	for (int bit = 20; bit >= 0; bit--) {
		uint64_t larger = root | 1ull << bit;

		if (larger * larger * larger <= value)
			root = larger;
	}
	return (uint32_t)root;
}

static void begin_epoch(struct congestion *congestion, uint32_t mss, uint64_t now_us)
{
	congestion->epoch_us = now_us;
	congestion->growth = 0;
	congestion->reno_growth = 0;
	congestion->reno = congestion->window;
	congestion->plateau_ms = 0;
	congestion->origin = congestion->window;
	if (congestion->window >= congestion->most)
		return;
	congestion->origin = congestion->most;
	/* (W - w) / C in segments and s^3: 2.5e9 ms^3 for each segment */
	congestion->plateau_ms =
		cube_root((uint64_t)(congestion->most - congestion->window) * 2500000000u / mss);
}

/* RFC 9438 (1): where the curve is at that time. */
static int64_t curve(const struct congestion *congestion, uint32_t mss, uint64_t elapsed_us)
{
	int64_t ms = (int64_t)(elapsed_us / 1000) - congestion->plateau_ms;
	int64_t offset;

	if (ms > CURVE_MS_MAX)
		ms = CURVE_MS_MAX;
	if (ms < -CURVE_MS_MAX)
		ms = -CURVE_MS_MAX;
	offset = ms * ms * ms / 1000 * mss / 1000 * 4 / 10000;
	return congestion->origin + offset;
}

static void follow_reno(struct congestion *congestion, uint32_t mss, uint32_t bytes)
{
	uint64_t step = (uint64_t)bytes * mss;

	if (congestion->reno < congestion->most)
		step = step * RENO_NUMERATOR / RENO_DENOMINATOR;
	congestion->reno_growth += step;
	congestion->reno += (uint32_t)(congestion->reno_growth / congestion->window);
	congestion->reno_growth %= congestion->window;
	if (congestion->window < congestion->reno)
		congestion->window = congestion->reno;
}

static void avoid(struct congestion *congestion, uint32_t mss, uint32_t bytes, uint64_t now_us,
		  uint32_t round_trip_us)
{
	int64_t target;

	if (!congestion->epoch_us)
		begin_epoch(congestion, mss, now_us);
	target = curve(congestion, mss, now_us - congestion->epoch_us + round_trip_us);
	/* RFC 9438 4.2: no more than half a window more in a round trip */
	target = LWIP_MIN(target, (int64_t)congestion->window + congestion->window / 2);
	if (target > congestion->window) {
		congestion->growth += (uint64_t)bytes * (uint64_t)(target - congestion->window);
		congestion->window += (uint32_t)(congestion->growth / congestion->window);
		congestion->growth %= congestion->window;
	}
	follow_reno(congestion, mss, bytes);
}

void congestion_acknowledged(struct congestion *congestion, uint32_t mss, uint32_t bytes,
			     uint64_t now_us, uint32_t round_trip_us)
{
	if (congestion->window < congestion->threshold) {
		uint32_t slow = LWIP_MIN(bytes, congestion->threshold - congestion->window);

		congestion->window += slow;
		bytes -= slow;
	}
	if (bytes && congestion->window < UINT32_MAX / 4)
		avoid(congestion, mss, bytes, now_us, round_trip_us);
}

void congestion_round_trip(struct congestion *congestion, uint32_t mss, uint32_t us,
			   uint32_t least_us, uint32_t acknowledged, uint32_t next)
{
	uint32_t tolerance = LWIP_MIN(LWIP_MAX(least_us / 8, DELAY_LEAST_US), DELAY_MOST_US);

	if (congestion->window >= congestion->threshold ||
	    congestion->window < HYSTART_SEGMENTS * mss)
		return;
	if (TCP_SEQ_GT(acknowledged, congestion->round_end) || !congestion->round_samples) {
		congestion->round_end = next;
		congestion->round_least_us = UINT32_MAX;
		congestion->round_samples = 0;
	}
	congestion->round_samples++;
	if (us < congestion->round_least_us)
		congestion->round_least_us = us;
	if (congestion->round_samples >= ROUND_SAMPLES &&
	    congestion->round_least_us > least_us + tolerance)
		congestion->threshold = congestion->window;
}

void congestion_lost(struct congestion *congestion, uint32_t mss, uint32_t flight)
{
	uint32_t window = congestion->window;
	uint32_t reduced = (uint32_t)((uint64_t)window * BETA_NUMERATOR / BETA_DENOMINATOR);

	congestion->undo_window = window;
	congestion->undo_threshold = congestion->threshold;
	/* RFC 9438 4.7: a flow that lost before it came to its old height makes room for others. */
	congestion->most =
		window < congestion->most
			? (uint32_t)((uint64_t)window * (BETA_DENOMINATOR + BETA_NUMERATOR) /
				     (2 * BETA_DENOMINATOR))
			: window;
	congestion->epoch_us = 0;
	congestion->threshold = LWIP_MAX(reduced, LEAST_SEGMENTS * mss);
	congestion->flight_at_loss = LWIP_MAX(flight, 1);
	congestion->delivered = 0;
	congestion->sent = 0;
}

void congestion_undo(struct congestion *congestion)
{
	if (congestion->window < congestion->undo_window)
		congestion->window = congestion->undo_window;
	if (congestion->threshold < congestion->undo_threshold)
		congestion->threshold = congestion->undo_threshold;
	congestion->epoch_us = 0;
}

void congestion_recover(struct congestion *congestion, uint32_t mss, uint32_t delivered,
			uint32_t pipe, bool progress)
{
	int64_t room;

	congestion->delivered += delivered;
	room = (int64_t)congestion->delivered - congestion->sent;
	if (pipe > congestion->threshold) {
		room = (int64_t)(((uint64_t)congestion->delivered * congestion->threshold +
				  congestion->flight_at_loss - 1) /
				 congestion->flight_at_loss) -
		       congestion->sent;
	} else {
		if (progress)
			room = LWIP_MAX(room, (int64_t)delivered) + mss;
		room = LWIP_MIN(room, (int64_t)(congestion->threshold - pipe));
	}
	/* The first retransmission always goes. */
	if (!congestion->sent)
		room = LWIP_MAX(room, (int64_t)mss);
	congestion->window = pipe + (uint32_t)LWIP_MAX(room, 0);
}
