/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scoreboard: scoreboard.h.
 */
#include "stack/tcp/scoreboard.h"

#include "common/network_order.h"
#include "stack/tcp/recovery.h"
#include "stack/tcp/segment_option.h"

#define OPTION_SACK 5
#define BLOCK_SIZE  8
#define BLOCKS_MAX  4

void scoreboard_forget_lost(struct recovery *recovery)
{
	struct tcp_seg *segment = recovery->pcb->unacked;

	for (; segment && recovery->scoreboard.lost; segment = segment->next)
		scoreboard_unmark_lost(&recovery->scoreboard, segment);
}

void scoreboard_forget_sacked(struct recovery *recovery)
{
	for (struct tcp_seg *segment = recovery->pcb->unacked; segment; segment = segment->next)
		segment->flags &= (u8_t)~SEGMENT_SACKED;
	recovery->scoreboard.sacked = 0;
}

/* A segment is known to have arrived, and was not before. */
static void deliver(struct recovery *recovery, struct tcp_seg *segment, struct delivery *delivery)
{
	uint32_t end = segment_end(segment);

	scoreboard_unmark_lost(&recovery->scoreboard, segment);
	delivery->bytes += TCP_TCPLEN(segment);
	delivery->again |= segment->p->sent_again;
	if (!segment->p->sent_again) {
		uint32_t us = (uint32_t)delivery->now_us - segment->p->sent_us;

		if (!delivery->measured || us > delivery->oldest_us)
			delivery->oldest_us = us;
		if (!delivery->measured || us < delivery->least_us)
			delivery->least_us = us;
		delivery->measured = true;
		delivery->original |= TCP_SEQ_LEQ(end, recovery->end);
	}
	rack_delivered(&recovery->rack, &recovery->trip, segment, end, delivery->now_us);
}

static void note_acknowledged(struct recovery *recovery, struct delivery *delivery)
{
	struct tcp_seg *segment = recovery->pcb->unacked;

	for (; segment; segment = segment->next) {
		if (TCP_SEQ_GT(segment_end(segment), delivery->acknowledged))
			break;
		if (segment->flags & SEGMENT_SACKED)
			recovery->scoreboard.sacked -= TCP_TCPLEN(segment);
		else
			deliver(recovery, segment, delivery);
		segment->flags &= (u8_t)~SEGMENT_SACKED;
	}
}

static void note_block(struct recovery *recovery, struct delivery *delivery, uint32_t left,
		       uint32_t right)
{
	struct tcp_seg *segment = recovery->pcb->unacked;

	for (; segment; segment = segment->next) {
		uint32_t start;

		if (segment->flags & SEGMENT_SACKED)
			continue;
		start = segment_start(segment);
		if (TCP_SEQ_GEQ(start, right))
			break;
		/* Those that the same acknowledgement covers are as good as gone. */
		if (TCP_SEQ_LT(start, left) || TCP_SEQ_GT(segment_end(segment), right))
			continue;
		deliver(recovery, segment, delivery);
		segment->flags |= SEGMENT_SACKED;
		recovery->scoreboard.sacked += TCP_TCPLEN(segment);
		delivery->sacked = true;
	}
}

/*
 * RFC 2883: the first block says what came twice if the cumulative acknowledgement covers it, or
 * the second block does.
 */
static bool is_duplicate(const struct delivery *delivery, const uint32_t (*blocks)[2],
			 unsigned count)
{
	if (TCP_SEQ_LEQ(blocks[0][1], delivery->acknowledged))
		return true;
	return count > 1 && TCP_SEQ_GEQ(blocks[0][0], blocks[1][0]) &&
	       TCP_SEQ_LEQ(blocks[0][1], blocks[1][1]);
}

static void judge_blocks(struct recovery *recovery, struct delivery *delivery,
			 const uint32_t (*blocks)[2], unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint32_t left = blocks[i][0], right = blocks[i][1];

		if (!TCP_SEQ_LT(left, right) || TCP_SEQ_GT(right, recovery->pcb->snd_nxt))
			continue;
		if (i == 0 && is_duplicate(delivery, blocks, count)) {
			delivery->duplicate = true;
			delivery->duplicate_start = left;
			delivery->duplicate_end = right;
		} else if (TCP_SEQ_GT(left, delivery->acknowledged)) {
			note_block(recovery, delivery, left, right);
		}
	}
}

static unsigned find_blocks(const struct tcp_hdr *header, uint32_t (*blocks)[2])
{
	const uint8_t *option = NULL;
	unsigned count = 0;

	while ((option = segment_option_next(header, option))) {
		for (unsigned at = 2;
		     option[0] == OPTION_SACK && count < BLOCKS_MAX && at + BLOCK_SIZE <= option[1];
		     at += BLOCK_SIZE, count++) {
			blocks[count][0] = bytes_read32(option + at);
			blocks[count][1] = bytes_read32(option + at + 4);
		}
	}
	return count;
}

static void note_blocks(struct recovery *recovery, const struct tcp_hdr *header,
			struct delivery *delivery)
{
	uint32_t blocks[BLOCKS_MAX][2];

	judge_blocks(recovery, delivery, blocks, find_blocks(header, blocks));
}

void scoreboard_note(struct recovery *recovery, const struct tcp_hdr *header,
		     struct delivery *delivery)
{
	if (delivery->advanced)
		note_acknowledged(recovery, delivery);
	if (TCPH_HDRLEN_BYTES(header) > TCP_HLEN && (recovery->pcb->flags & TF_SACK))
		note_blocks(recovery, header, delivery);
}

uint32_t scoreboard_pipe(const struct recovery *recovery, uint32_t acknowledged)
{
	const struct scoreboard *scoreboard = &recovery->scoreboard;
	uint32_t out = recovery->pcb->snd_nxt - acknowledged;
	/* Each duplicate acknowledgement of a peer without SACK stands for a segment. */
	uint32_t off =
		scoreboard->sacked + scoreboard->lost + recovery->duplicates * recovery->pcb->mss;

	return out > off ? out - off : 0;
}

bool scoreboard_check(const struct recovery *recovery)
{
	uint32_t sacked = 0, lost = 0;

	for (struct tcp_seg *segment = recovery->pcb->unacked; segment; segment = segment->next) {
		if ((segment->flags & SEGMENT_SACKED) && (segment->flags & SEGMENT_LOST))
			return false;
		if (segment->flags & SEGMENT_SACKED)
			sacked += TCP_TCPLEN(segment);
		if (segment->flags & SEGMENT_LOST)
			lost += TCP_TCPLEN(segment);
	}
	return sacked == recovery->scoreboard.sacked && lost == recovery->scoreboard.lost;
}
