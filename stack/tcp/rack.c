/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RACK: rack.h. Sections are RFC 8985's.
 */
#include "stack/tcp/rack.h"

#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/recovery.h"

#define DUPLICATE_THRESHOLD 3  /* segments; RFC 5681 */
#define PERSISTENCE	    16 /* 6.2 step 4 */
/*
 * The reordering window's limit. The RFC recommends one round trip. But where segments are late by
 * more than that again and again, it is better to wait for them than to take them for lost, which
 * halves the speed.
 */
#define WINDOW_ROUND_TRIPS 3

void rack_start(struct rack *rack)
{
	*rack = (struct rack){ .multiplier = 1 };
}

/* RFC 8985's RACK_sent_after(): whether the one was sent after the other. */
static bool sent_after(uint64_t us, uint32_t end, uint64_t other_us, uint32_t other_end)
{
	return us > other_us || (us == other_us && TCP_SEQ_GT(end, other_end));
}

/* 6.2, steps 2 and 3 */
void rack_delivered(struct rack *rack, const struct round_trip *trip, const struct tcp_seg *segment,
		    uint32_t end, uint64_t now_us)
{
	uint64_t sent = segment_sent_us(segment, now_us);
	bool again = segment->p->sent_again;

	if (!rack->known || TCP_SEQ_GT(end, rack->highest))
		rack->highest = end;
	else if (!again && TCP_SEQ_LT(end, rack->highest))
		rack->reordering_seen = true;
	/* If it was sent twice, nobody knows which of the two this acknowledgement answers. */
	if (again && now_us - sent < round_trip_soonest(trip))
		return;
	if (rack->known && !sent_after(sent, end, rack->sent_us, rack->end))
		return;
	rack->known = true;
	rack->sent_us = sent;
	rack->end = end;
	rack->trip_us = (uint32_t)(now_us - sent);
}

/* 6.2 step 4, RACK_update_reo_wnd() */
void rack_adapt(struct recovery *recovery, const struct delivery *delivery)
{
	struct rack *rack = &recovery->rack;

	if (rack->in_round && TCP_SEQ_GEQ(delivery->acknowledged, rack->round_end))
		rack->in_round = false;
	if (!delivery->was_late)
		return;
	/* So late that it had been sent again, which rack_delivered() cannot see. */
	rack->reordering_seen = true;
	if (rack->in_round)
		return;
	rack->in_round = true;
	rack->round_end = recovery->pcb->snd_nxt;
	if (rack->multiplier < UINT8_MAX)
		rack->multiplier++;
	rack->persistence = PERSISTENCE;
}

void rack_recovered(struct rack *rack)
{
	if (rack->persistence && --rack->persistence == 0)
		rack->multiplier = 1;
}

static uint32_t reordering_us(const struct recovery *recovery)
{
	const struct round_trip *trip = &recovery->trip;
	uint64_t window = (uint64_t)trip->least_us * recovery->rack.multiplier / 4;

	if (!recovery->rack.reordering_seen &&
	    (recovery->state != RECOVERY_OPEN ||
	     recovery->scoreboard.sacked >= DUPLICATE_THRESHOLD * recovery->pcb->mss))
		return 0;
	return (uint32_t)LWIP_MIN(window, WINDOW_ROUND_TRIPS * (uint64_t)trip->smoothed_us) + 1;
}

uint32_t rack_detect(struct recovery *recovery, uint32_t acknowledged, uint64_t now_us)
{
	const struct rack *rack = &recovery->rack;
	uint32_t window = reordering_us(recovery);
	uint32_t soonest = round_trip_soonest(&recovery->trip);
	uint64_t longest = 0;

	if (!rack->known)
		return 0;
	for (struct tcp_seg *segment = recovery->pcb->unacked; segment; segment = segment->next) {
		bool again = segment->p->sent_again;
		uint64_t sent, lost_at;

		if (segment->flags & (SEGMENT_SACKED | SEGMENT_LOST))
			continue;
		if (TCP_SEQ_LEQ(segment_end(segment), acknowledged))
			continue; /* lwIP frees it next */
		sent = segment_sent_us(segment, now_us);
		if (!sent_after(rack->sent_us, rack->end, sent, segment_end(segment))) {
			if (!again)
				break; /* first sendings are in order: all behind it are later */
			continue;
		}
		lost_at = sent + rack->trip_us + window;
		/* Sent again so lately that nothing can have answered it, or at the very time of
		 * what has arrived: then the order is not known. */
		if (again && lost_at < sent + soonest)
			lost_at = sent + soonest;
		if (again && rack->sent_us == sent)
			continue;
		if (lost_at <= now_us)
			scoreboard_mark_lost(&recovery->scoreboard, segment);
		else if (lost_at - now_us > longest)
			longest = lost_at - now_us;
	}
	return (uint32_t)longest;
}
