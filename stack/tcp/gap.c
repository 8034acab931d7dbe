/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gaps: gap.h.
 */
#include "stack/tcp/gap.h"

#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket_parts.h"

/* What a sender's fast retransmit waits for: RFC 5681. */
#define SAID_AT_ONCE 3
/* Linux's tcp_comp_sack_nr, and tcp_comp_sack_delay_ns with its share of the round trip. */
#define HELD_MAX	 44
#define HELD_NS		 1000000u
#define HELD_ROUND_TRIPS 20

static void run(struct deadline *deadline)
{
	struct gap *gap = (struct gap *)((char *)deadline - offsetof(struct gap, timer));
	struct stack_socket *socket =
		(struct stack_socket *)((char *)gap - offsetof(struct stack_socket, gap));

	if (gap->held && socket->pcb)
		tcp_send_empty_ack(socket->pcb);
}

void gap_start(struct stack_socket *socket)
{
	socket->gap = (struct gap){ 0 };
	deadline_start(&socket->gap.timer, run);
}

void gap_stop(struct stack_socket *socket)
{
	deadline_remove(&socket->stack->deadlines, &socket->gap.timer);
	socket->gap.held = 0;
}

/* Whether one of the blocks that the peer is told of covers it: it was received before. */
static bool is_known(const struct tcp_pcb *pcb, uint32_t start, uint32_t end)
{
	for (unsigned i = 0; i < LWIP_TCP_MAX_SACK_NUM && LWIP_TCP_SACK_VALID(pcb, i); i++) {
		if (TCP_SEQ_GEQ(start, pcb->rcv_sacks[i].left) &&
		    TCP_SEQ_LEQ(end, pcb->rcv_sacks[i].right))
			return true;
	}
	return false;
}

void gap_note_received(struct stack_socket *socket, const struct tcp_pcb *pcb,
		       const struct tcp_hdr *header, uint32_t size)
{
	struct gap *gap = &socket->gap;
	uint32_t start = header->seqno, end = start + size;

	if (TCP_SEQ_LT(start, pcb->rcv_nxt)) {
		if (TCP_SEQ_GT(end, pcb->rcv_nxt))
			end = pcb->rcv_nxt;
	} else if (!is_known(pcb, start, end)) {
		return;
	}
	gap->duplicate = size > 0;
	gap->duplicate_start = start;
	gap->duplicate_end = end;
}

bool gap_is_filled(struct stack_socket *socket)
{
	if (!socket->gap.open || socket->pcb->ooseq)
		return false;
	socket->gap.open = false;
	return true;
}

void gap_note_sent(struct stack_socket *socket)
{
	socket->gap.held = 0;
	socket->gap.duplicate = false;
}

static uint64_t hold_ns(const struct stack_socket *socket)
{
	uint64_t trip_us = socket->recovery.trip.smoothed_us;

	return LWIP_MIN(trip_us * 1000 / HELD_ROUND_TRIPS, HELD_NS);
}

err_t melin_gap_acknowledge(struct tcp_pcb *pcb)
{
	struct stack_socket *socket = socket_of(pcb);
	struct gap *gap;

	/* What has come twice or lies outside the window is answered at once. */
	if (!socket || !(pcb->flags & TF_SACK) || (pcb->flags & TF_ACK_NOW) || !pcb->ooseq ||
	    socket->gap.duplicate || socket->options.quick_ack)
		return tcp_send_empty_ack(pcb);
	gap = &socket->gap;
	if (!gap->open || gap->next != pcb->rcv_nxt) {
		gap->open = true;
		gap->next = pcb->rcv_nxt;
		gap->said = 0;
	}
	if (gap->said < SAID_AT_ONCE) {
		gap->said++;
		return tcp_send_empty_ack(pcb);
	}
	if (++gap->held >= HELD_MAX)
		return tcp_send_empty_ack(pcb);
	if (gap->held == 1)
		deadline_set(&socket->stack->deadlines, &gap->timer,
			     melin_clock_ns() + hold_ns(socket));
	return ERR_OK;
}

void gap_before_output(struct stack_socket *socket, struct tcp_pcb *pcb, struct gap_blocks *blocks)
{
	blocks->changed = socket && socket->gap.duplicate && (pcb->flags & TF_SACK);
	if (!blocks->changed)
		return;
	memcpy(blocks->ranges, pcb->rcv_sacks, sizeof(blocks->ranges));
	memcpy(pcb->rcv_sacks + 1, blocks->ranges,
	       sizeof(blocks->ranges) - sizeof(blocks->ranges[0]));
	pcb->rcv_sacks[0].left = socket->gap.duplicate_start;
	pcb->rcv_sacks[0].right = socket->gap.duplicate_end;
}

void gap_after_output(struct tcp_pcb *pcb, const struct gap_blocks *blocks)
{
	if (blocks->changed)
		memcpy(pcb->rcv_sacks, blocks->ranges, sizeof(blocks->ranges));
}

err_t tcp_send_empty_ack(struct tcp_pcb *pcb)
{
	struct gap_blocks blocks;
	err_t error;

	gap_before_output(socket_of(pcb), pcb, &blocks);
	error = melin_lwip_send_empty_ack(pcb);
	gap_after_output(pcb, &blocks);
	return error;
}
