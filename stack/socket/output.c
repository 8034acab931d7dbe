/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What lwIP's tcp_output() and tcp_write() are wrapped in: the ends of the queues are remembered
 * instead of walked to; the last, partly filled segment waits as Minshall's variant of Nagle's
 * algorithm, TCP_CORK and MSG_MORE want it (lwIP's own Nagle is always off).
 */
#include "stack/socket/output.h"

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/tcp/acknowledge.h"
#include "stack/tcp/recovery.h"
#include "stack/socket/socket.h"
#include "stack/tcp/timestamps.h"

/* lwip_tcp_out.c */
err_t melin_lwip_tcp_output(struct tcp_pcb *pcb);

/* Linux sends what is corked after this time. */
#define CORK_NS (200ull * 1000000)

void output_note_segment(struct stack_socket *socket, const struct tcp_pcb *pcb, uint32_t sequence,
			 uint32_t size, bool again)
{
	uint64_t now = melin_clock_ns();

	socket->info.segments_out++;
	acknowledge_sent(socket);
	if (socket->recovery.asks)
		return;
	info_note_sent(socket, pcb, sequence, size, again);
	if (!size)
		gap_note_sent(socket);
	if (size)
		socket->info.last_sent = now / 1000000;
	if (again) {
		adopted_count(&socket->info.retransmitted);
		if (!socket->retry.since)
			socket->retry.since = now;
	} else if (size && size < timestamps_full_segment(pcb)) {
		socket->output.small_sent = true;
		socket->output.small_end = sequence + size;
	}
}

void output_acknowledged(struct stack_socket *socket, const struct tcp_pcb *pcb)
{
	const uint32_t more = pcb->lastack - socket->info.acked_to;

	if (socket->state != SOCKET_CONNECTED || !TCP_SEQ_GT(pcb->lastack, socket->info.acked_to))
		return;
	socket->info.acked_to = pcb->lastack;
	socket->info.bytes_acked += more;
	info_note_acknowledged(socket, pcb);
	urgent_acknowledged(socket, pcb);
	if (socket->recovery.pcb)
		recovery_override(&socket->recovery);
	if (socket->output.small_sent && TCP_SEQ_LEQ(socket->output.small_end, pcb->lastack))
		socket->output.small_sent = false; /* its number is ahead again after 2 GB */
	/* As Linux's tcp_sndbuf_expand(): less than two windows of buffer limit the speed. */
	if (!socket->options.send_buffer_set && pcb->cwnd > socket->send_buffer.credit / 2)
		send_buffer_set_credit(socket, pcb->cwnd * 2);
	/* A close that lingers sleeps until all is acknowledged; Linux tells of FIN_WAIT2, too. */
	if (socket->shutdown & SHUT_SEND)
		socket_changed_quietly(socket, send_buffer_queued(socket) ? 0 : READY_OUTPUT);
	else
		socket_changed(socket, 0);
}

static uint32_t start_of(const struct tcp_seg *segment)
{
	return lwip_ntohl(segment->tcphdr->seqno);
}

static struct tcp_seg *last_of(struct tcp_seg *segment)
{
	while (segment->next)
		segment = segment->next;
	return segment;
}

/*
 * lwIP looks for the end of ->unacked each time that it sends. All but the last segment are hidden
 * from it, unless what it sends belongs before them (a retransmission).
 */
static err_t output_behind_tail(struct tcp_pcb *pcb)
{
	struct tcp_seg *head = pcb->unacked;
	struct tcp_seg *tail = head ? pcb->ext_args[EXTRA_TAIL].data : NULL;
	err_t error;

	if (tail && tail != head && pcb->unsent &&
	    TCP_SEQ_GT(start_of(pcb->unsent), start_of(tail))) {
		pcb->unacked = tail;
		error = melin_lwip_tcp_output(pcb);
		pcb->unacked = head;
	} else {
		error = melin_lwip_tcp_output(pcb);
		if (!tail)
			tail = pcb->unacked;
	}
	pcb->ext_args[EXTRA_TAIL].data = tail ? last_of(tail) : NULL;
	return error;
}

static bool small_in_flight(const struct stack_socket *socket, const struct tcp_pcb *pcb)
{
	return socket->output.small_sent && TCP_SEQ_GT(socket->output.small_end, pcb->lastack) &&
	       TCP_SEQ_LEQ(socket->output.small_end, pcb->snd_nxt);
}

/* Whether the last segment of ->unsent must wait although the window would let it go. */
static bool must_hold(const struct stack_socket *socket, const struct tcp_pcb *pcb,
		      const struct tcp_seg *tail)
{
	uint32_t window = LWIP_MIN(pcb->snd_wnd, pcb->cwnd);
	uint32_t most = timestamps_full_segment(pcb);
	uint32_t full = LWIP_MIN(most, pcb->snd_wnd_max / 2);

	if (tail->len == 0 || tail->len >= (full ? full : most))
		return false;
	if (TCPH_FLAGS(tail->tcphdr) & (TCP_FIN | TCP_SYN))
		return false;
	if (TCP_SEQ_LT(start_of(tail), pcb->snd_nxt)) /* has been sent once */
		return false;
	if (start_of(tail) - pcb->lastack + tail->len > window)
		return false; /* cannot go anyway, and lwIP must see it to probe the window */
	if (socket->output.push)
		return false;
	if (socket->options.cork || socket->output.more)
		return !socket->output.held_since ||
		       melin_clock_ns() - socket->output.held_since < CORK_NS;
	return !socket->options.no_delay && !urgent_is_sending(socket, pcb) &&
	       small_in_flight(socket, pcb);
}

/* Takes tail out of ->unsent, lets the rest go, and puts it back. */
static err_t output_without(struct tcp_pcb *pcb, struct tcp_seg *tail)
{
	u16_t oversize = pcb->unsent_oversize;
	struct tcp_seg **link = &pcb->unsent;
	err_t error;

	while (*link != tail)
		link = &(*link)->next;
	*link = NULL;
	error = output_behind_tail(pcb);
	link = &pcb->unsent;
	while (*link)
		link = &(*link)->next;
	*link = tail;
	pcb->unsent_oversize = oversize;
	return error;
}

static err_t output_unsent(struct stack_socket *socket, struct tcp_pcb *pcb)
{
	struct tcp_seg *tail;
	err_t error;

	melin_index_unpark(pcb);
	if (!socket)
		return output_behind_tail(pcb);
	tail = last_of(socket->output.unsent_tail ? socket->output.unsent_tail : pcb->unsent);
	if (must_hold(socket, pcb, tail)) {
		if (!socket->output.held_since)
			socket->output.held_since = melin_clock_ns();
		error = output_without(pcb, tail);
	} else {
		socket->output.held_since = 0;
		error = output_behind_tail(pcb);
	}
	socket->output.unsent_tail = pcb->unsent ? tail : NULL;
	if (socket->options.unsent_low_water != UINT32_MAX)
		socket_changed(socket, 0);
	return error;
}

err_t tcp_output(struct tcp_pcb *pcb)
{
	struct stack_socket *socket = socket_of(pcb);
	struct recovery *recovery;
	struct gap_blocks blocks;
	err_t error;

	/* lwIP is in the middle of the PCB's input, and calls this again at its end. */
	if (tcp_input_pcb == pcb)
		return ERR_OK;
	if (socket && pcb->lastack != socket->info.acked_to)
		output_acknowledged(socket, pcb);
	if (socket && socket->segments.no_answer) {
		/* judge_bare() of segment.c has found that no ACK is needed. */
		tcp_clear_flags(pcb, TF_ACK_NOW);
		socket->segments.no_answer = false;
	}
	if (socket && !pcb->unsent)
		socket->output.unsent_tail = NULL;
	recovery = recovery_of(pcb);
	if (recovery && (pcb->unsent || recovery_has_lost(recovery)))
		recovery_before_output(recovery);
	blocks.changed = false;
	if (socket && socket->gap.duplicate)
		gap_before_output(socket, pcb, &blocks);
	if (!pcb->unsent)
		error = melin_lwip_tcp_output(pcb); /* an acknowledgement at most */
	else
		error = output_unsent(socket, pcb);
	if (blocks.changed)
		gap_after_output(pcb, &blocks);
	if (recovery && (recovery->heard || pcb->snd_nxt != recovery->sent_to ||
			 (pcb->unacked && !recovery->retransmit_at_ns)))
		recovery_after_output(recovery);
	return error;
}

/* tcp_write() looks for the end of ->unsent: it is shown nothing else. */
err_t output_write(struct stack_socket *socket, const void *data, uint16_t size, uint8_t flags)
{
	struct tcp_pcb *pcb = socket->pcb;
	struct tcp_seg *head = pcb->unsent;
	struct tcp_seg *tail = head ? socket->output.unsent_tail : NULL;
	err_t error;

	if (tail)
		pcb->unsent = tail;
	error = tcp_write(pcb, data, size, flags);
	if (tail) {
		tail = last_of(tail);
		pcb->unsent = head;
	} else {
		tail = pcb->unsent ? last_of(pcb->unsent) : NULL;
	}
	socket->output.unsent_tail = tail;
	return error;
}

void output_push(struct stack_socket *socket, bool all)
{
	if (!socket->pcb || socket->state != SOCKET_CONNECTED)
		return;
	socket->output.more = false;
	socket->output.push |= all;
	tcp_output(socket->pcb);
}

void output_check_held(struct stack_socket *socket, uint64_t now)
{
	if (now - socket->output.held_since >= CORK_NS)
		tcp_output(socket->pcb);
}
