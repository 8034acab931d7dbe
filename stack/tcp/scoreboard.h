/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the peer holds and what is lost, as marks in the segments of lwIP's ->unacked and their
 * sums. Not for deciding what is lost: rack.h.
 */
#ifndef MELIN_SCOREBOARD_H
#define MELIN_SCOREBOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/priv/tcp_priv.h"

struct recovery;

/* In tcp_seg.flags, above lwIP's TF_SEG_ bits */
#define SEGMENT_SACKED 0x20
#define SEGMENT_LOST   0x40 /* and not sent again since */

struct scoreboard {
	uint32_t sacked, lost; /* sequence numbers of ->unacked that are marked so */
};

/* What one acknowledgement has brought. */
struct delivery {
	uint64_t now_us;
	/* the highest cumulative acknowledgement so far, this one's or an older one's */
	uint32_t acknowledged;
	/* bytes that are now known to have arrived, and were not before */
	uint32_t bytes;
	uint32_t oldest_us, least_us; /* round trips of what was sent once; see measured */
	/* again: a segment that was sent twice is among those acknowledged */
	bool measured, again;
	bool advanced;	/* the cumulative acknowledgement moves */
	bool sacked;	/* a segment was marked */
	bool original;	/* one of recovery's range has come that was sent only once */
	bool duplicate; /* the peer says that something came twice */
	uint32_t duplicate_start, duplicate_end;
	bool was_late; /* and that is something that recovery had sent again */
};

static inline uint32_t segment_start(const struct tcp_seg *segment)
{
	return lwip_ntohl(segment->tcphdr->seqno);
}

static inline uint32_t segment_end(const struct tcp_seg *segment)
{
	return segment_start(segment) + TCP_TCPLEN(segment);
}

/* When it was sent last. The segment keeps 32 bits of it: more than an hour. */
static inline uint64_t segment_sent_us(const struct tcp_seg *segment, uint64_t now_us)
{
	return now_us - (uint32_t)((uint32_t)now_us - segment->p->sent_us);
}

/* Notes what the segment with this header says; what it acknowledges lwIP frees next. */
void scoreboard_note(struct recovery *recovery, const struct tcp_hdr *header,
		     struct delivery *delivery);
static inline void scoreboard_mark_lost(struct scoreboard *scoreboard, struct tcp_seg *segment)
{
	if (segment->flags & SEGMENT_LOST)
		return;
	segment->flags |= SEGMENT_LOST;
	scoreboard->lost += TCP_TCPLEN(segment);
}

/* The segment has been sent again: it is not lost any more. */
static inline void scoreboard_unmark_lost(struct scoreboard *scoreboard, struct tcp_seg *segment)
{
	if (!(segment->flags & SEGMENT_LOST))
		return;
	segment->flags &= (u8_t)~SEGMENT_LOST;
	scoreboard->lost -= TCP_TCPLEN(segment);
}
/* Nothing is lost after all: takes the marks away. */
void scoreboard_forget_lost(struct recovery *recovery);
/* The peer has thrown away what it had acknowledged selectively, as RFC 2018 allows. */
void scoreboard_forget_sacked(struct recovery *recovery);

/* RFC 6675's pipe, the bytes that are on their way, when acknowledged is the cumulative one. */
uint32_t scoreboard_pipe(const struct recovery *recovery, uint32_t acknowledged);

/* For tests: whether the sums are those of the marks. */
bool scoreboard_check(const struct recovery *recovery);

#endif
