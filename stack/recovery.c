/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SACK recovery: recovery.h. A scoreboard in the unused bits of lwIP's segments says what the peer
 * holds; RFC 8985 (RACK) says what is lost: whatever was sent before something that has arrived,
 * with an allowance for reordering until three segments' worth has overtaken it; RFC 6675's
 * estimate of what is in flight says when more may be sent. Not for timeouts: lwIP's timer does
 * those.
 */
#include "lwip/priv/tcp_priv.h"

#include "common/network_order.h"
#include "stack/clock.h"
#include "stack/recovery.h"
#include "stack/socket.h"

/* In tcp_seg.flags, above lwIP's TF_SEG_ bits */
#define SEG_SACKED 0x20
#define SEG_LOST   0x40
#define SEG_AGAIN  0x80 /* lost, and sent again */

#define OPTION_END  0
#define OPTION_NOP  1
#define OPTION_SACK 5

static uint32_t now_us(void)
{
	return (uint32_t)(melin_clock_ns() / 1000);
}

static uint32_t start_of(const struct tcp_seg *segment)
{
	return lwip_ntohl(segment->tcphdr->seqno);
}

static uint32_t end_of(const struct tcp_seg *segment)
{
	return start_of(segment) + TCP_TCPLEN(segment);
}

/* RFC 8985 6.2: one time and end after the other. */
static bool sent_after(uint32_t us, uint32_t end, uint32_t other_us, uint32_t other_end)
{
	return (int32_t)(us - other_us) > 0 || (us == other_us && TCP_SEQ_GT(end, other_end));
}

static void measured(struct recovery *recovery, uint32_t rtt)
{
	int32_t error = (int32_t)(rtt - recovery->rtt_us);

	if (!recovery->least_rtt_us || rtt < recovery->least_rtt_us)
		recovery->least_rtt_us = rtt;
	if (!recovery->rtt_us) {
		recovery->rtt_us = rtt;
		recovery->rtt_deviation_us = rtt / 2;
		return;
	}
	recovery->rtt_us += (uint32_t)(error / 8);
	recovery->rtt_deviation_us +=
		(uint32_t)(((error < 0 ? -error : error) - (int32_t)recovery->rtt_deviation_us) /
			   4);
}

/*
 * No answer comes sooner. RFC 8985 takes the least round trip ever seen for that; when a queue has
 * grown on the way that is far too soon, and what was only late would make all behind it lost.
 */
static uint32_t soonest_us(const struct recovery *recovery)
{
	uint32_t usual = recovery->rtt_us > recovery->rtt_deviation_us
				 ? recovery->rtt_us - recovery->rtt_deviation_us
				 : 0;

	return LWIP_MAX(usual, recovery->least_rtt_us);
}

static void delivered(struct recovery *recovery, const struct tcp_seg *segment)
{
	uint32_t rtt = now_us() - segment->p->sent_us;

	/* If it was sent twice, who knows which of the two this answers. */
	if ((segment->flags & SEG_AGAIN) && rtt < soonest_us(recovery))
		return;
	if (!(segment->flags & SEG_AGAIN))
		measured(recovery, rtt ? rtt : 1);
	if (!recovery->rack_known || sent_after(segment->p->sent_us, end_of(segment),
						recovery->rack_us, recovery->rack_end)) {
		recovery->rack_known = true;
		recovery->rack_us = segment->p->sent_us;
		recovery->rack_end = end_of(segment);
	}
}

static void unmark_lost(struct recovery *recovery, struct tcp_seg *segment)
{
	if ((segment->flags & (SEG_LOST | SEG_AGAIN)) == SEG_LOST)
		recovery->lost--;
}

/* What the cumulative acknowledgement covers: lwIP frees it next. */
static bool note_acknowledged(struct recovery *recovery, struct tcp_pcb *pcb, uint32_t ack)
{
	bool any = false;

	for (struct tcp_seg *segment = pcb->unacked; segment; segment = segment->next) {
		if (TCP_SEQ_GT(end_of(segment), ack))
			break;
		if (segment->flags & SEG_SACKED) {
			recovery->sacked -= segment->len;
		} else {
			unmark_lost(recovery, segment);
			delivered(recovery, segment);
		}
		/* Should lwIP's limits leave it in the queue, it is as new. */
		segment->flags &= (u8_t) ~(SEG_SACKED | SEG_LOST | SEG_AGAIN);
		any = true;
	}
	return any;
}

/*
 * ack is the same segment's acknowledgement: what it covers is freed next, and a block of it only
 * says that it came twice (RFC 2883).
 */
static bool note_block(struct recovery *recovery, struct tcp_pcb *pcb, uint32_t ack, uint32_t left,
		       uint32_t right)
{
	bool any = false;

	if (!TCP_SEQ_LT(left, right) || TCP_SEQ_GT(right, pcb->snd_nxt) || TCP_SEQ_LT(left, ack))
		return false;
	for (struct tcp_seg *segment = pcb->unacked; segment; segment = segment->next) {
		if (TCP_SEQ_GEQ(start_of(segment), right))
			break;
		if ((segment->flags & SEG_SACKED) || TCP_SEQ_LT(start_of(segment), left) ||
		    TCP_SEQ_GT(end_of(segment), right))
			continue;
		unmark_lost(recovery, segment);
		delivered(recovery, segment);
		segment->flags |= SEG_SACKED;
		recovery->sacked += segment->len;
		any = true;
	}
	return any;
}

/* The options follow the header in the same buffer: filter.c sees to it. */
static bool note_sack(struct recovery *recovery, struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
	const uint8_t *option = (const uint8_t *)(header + 1);
	unsigned size = TCPH_HDRLEN_BYTES(header) - TCP_HLEN;
	bool any = false;
	unsigned at = 0;

	while (at < size && option[at] != OPTION_END) {
		unsigned length;

		if (option[at] == OPTION_NOP) {
			at++;
			continue;
		}
		length = at + 1 < size ? option[at + 1] : 0;
		if (length < 2 || at + length > size)
			break;
		for (unsigned block = at + 2; option[at] == OPTION_SACK && block + 8 <= at + length;
		     block += 8)
			any |= note_block(recovery, pcb,
					  TCP_SEQ_GT(header->ackno, pcb->lastack) ? header->ackno
										  : pcb->lastack,
					  bytes_read32(option + block),
					  bytes_read32(option + block + 4));
		at += length;
	}
	return any;
}

/* Marks what was sent before something that has arrived, reordering_us or more before it. */
static void mark_lost(struct recovery *recovery, struct tcp_pcb *pcb, uint32_t reordering_us)
{
	uint32_t now = now_us(), soonest = soonest_us(recovery);

	for (struct tcp_seg *segment = pcb->unacked; segment; segment = segment->next) {
		uint32_t sent = segment->p->sent_us;

		if (segment->flags & SEG_SACKED)
			continue;
		if ((segment->flags & (SEG_LOST | SEG_AGAIN)) == SEG_LOST)
			continue;
		if (!sent_after(recovery->rack_us, recovery->rack_end, sent, end_of(segment)))
			continue;
		/* Sent again so lately that nothing can have answered it. */
		if ((segment->flags & SEG_AGAIN) && now - sent < soonest)
			continue;
		/* Sent again at the very time of what has arrived: the order is not known. */
		if ((segment->flags & SEG_AGAIN) && recovery->rack_us == sent)
			continue;
		if (reordering_us && recovery->rack_us - sent < reordering_us)
			continue;
		segment->flags = (u8_t)((segment->flags & ~SEG_AGAIN) | SEG_LOST);
		recovery->lost++;
	}
}

/*
 * RFC 5681 (3.1) with the factor of RFC 9438: Linux's, and losses here are not always congestion.
 */
static void enter(struct recovery *recovery, struct tcp_pcb *pcb)
{
	uint32_t flight = pcb->snd_nxt - pcb->lastack;
	uint32_t window = (uint32_t)((uint64_t)LWIP_MIN(flight, pcb->cwnd) * 7 / 10);

	recovery->active = true;
	recovery->end = pcb->snd_nxt;
	recovery->window = LWIP_MAX(window, 2u * pcb->mss);
	pcb->ssthresh = recovery->window;
	pcb->rtime = 0;
}

static void detect(struct recovery *recovery, struct tcp_pcb *pcb, uint32_t reordering_us)
{
	mark_lost(recovery, pcb, reordering_us);
	if (recovery->lost && !recovery->active)
		enter(recovery, pcb);
}

/* After a timeout lwIP sends all again: nothing of what was marked is in ->unacked any more. */
static void forget(struct recovery *recovery, struct tcp_pcb *pcb)
{
	for (struct tcp_seg *segment = pcb->unsent; segment; segment = segment->next)
		segment->flags &= (u8_t) ~(SEG_SACKED | SEG_LOST | SEG_AGAIN);
	for (struct tcp_seg *segment = pcb->unacked; segment; segment = segment->next)
		segment->flags &= (u8_t) ~(SEG_SACKED | SEG_LOST | SEG_AGAIN);
	recovery->active = false;
	recovery->sacked = 0;
	recovery->lost = 0;
}

void recovery_acknowledged(struct stack_socket *socket, const struct tcp_hdr *header)
{
	struct recovery *recovery = &socket->recovery;
	struct tcp_pcb *pcb = socket->pcb;
	uint32_t ack = header->ackno;
	bool news = false;

	if (!(pcb->flags & TF_SACK) || (TCPH_FLAGS(header) & (TCP_SYN | TCP_RST)))
		return;
	pcb->dupacks = 0; /* lwIP's own fast retransmit never starts */
	if (pcb->flags & TF_RTO) {
		if (recovery->active || recovery->sacked || recovery->lost)
			forget(recovery, pcb);
		return;
	}
	if (TCP_SEQ_GT(ack, pcb->lastack))
		news = note_acknowledged(recovery, pcb, ack);
	if (TCPH_HDRLEN_BYTES(header) > TCP_HLEN && pcb->unacked)
		news |= note_sack(recovery, pcb, header);
	if (recovery->active && TCP_SEQ_GEQ(ack, recovery->end)) {
		recovery->active = false;
		pcb->cwnd = recovery->window;
	}
	if (news && recovery->sacked) {
		bool certain = recovery->active || recovery->sacked >= 3u * pcb->mss;

		detect(recovery, pcb, certain ? 0 : recovery->least_rtt_us / 4 + 1);
	}
}

void recovery_check(struct stack_socket *socket)
{
	struct recovery *recovery = &socket->recovery;
	struct tcp_pcb *pcb = socket->pcb;

	if (!recovery->sacked || !recovery->rack_known || (pcb->flags & TF_RTO) ||
	    now_us() - recovery->rack_us < recovery->least_rtt_us * 5 / 4)
		return;
	detect(recovery, pcb, 0);
	if (recovery->lost)
		tcp_output(pcb);
}

/* RFC 6675's pipe, in bytes. */
static uint32_t in_flight(const struct tcp_pcb *pcb)
{
	uint32_t bytes = 0;

	for (const struct tcp_seg *segment = pcb->unacked; segment; segment = segment->next) {
		if (segment->flags & SEG_SACKED)
			continue;
		if ((segment->flags & (SEG_LOST | SEG_AGAIN)) != SEG_LOST)
			bytes += segment->len;
	}
	return bytes;
}

void recovery_before_output(struct stack_socket *socket, struct tcp_pcb *pcb)
{
	struct recovery *recovery = &socket->recovery;
	struct tcp_seg *segment = pcb->unacked;
	uint32_t pipe;

	if ((pcb->flags & TF_RTO) && (recovery->active || recovery->sacked || recovery->lost))
		forget(recovery, pcb);
	if (!recovery->active)
		return;
	pipe = in_flight(pcb);
	for (; segment && recovery->lost; segment = segment->next) {
		if ((segment->flags & (SEG_SACKED | SEG_LOST | SEG_AGAIN)) != SEG_LOST)
			continue;
		/* The first may always go: whatever is in flight, this is what all wait for. */
		if (segment != pcb->unacked && pipe + segment->len > recovery->window)
			break;
		if (melin_lwip_retransmit(pcb, segment) != ERR_OK)
			break;
		segment->flags |= SEG_AGAIN;
		recovery->lost--;
		pipe += segment->len;
	}
	/* lwIP counts all that is not acknowledged as in flight. */
	pcb->cwnd = pcb->snd_nxt - pcb->lastack +
		    (recovery->window > pipe ? recovery->window - pipe : 0);
}

void recovery_after_output(struct stack_socket *socket, struct tcp_pcb *pcb)
{
	if (socket->recovery.active)
		pcb->cwnd = socket->recovery.window;
}
