/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every TCP segment that has found its connection passes here before lwIP's state machine sees it,
 * and every one that leaves: what lwIP does not check (RFC 5961 section 5, window edges, full
 * accept queues) and what it does not count. Not for what can be told without a connection:
 * filter.c.
 */
#include "stack/events/segment.h"

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/lwip/lwip_hooks.h"
#include "stack/tcp/out_of_order.h"
#include "stack/socket/output.h"
#include "stack/tcp/reassembly.h"
#include "stack/tcp/recovery.h"
#include "stack/socket/socket.h"
#include "stack/tcp/timestamps.h"

/*
 * Challenge ACKs, RFC 5961 section 7: at most so many in a tick of the slow timer, 5,000 a second.
 */
#define CHALLENGES_MAX 100

static void challenge(struct tcp_pcb *pcb)
{
	struct challenges *challenges = &melin_instance->challenges;

	if (challenges->tick != tcp_ticks) {
		challenges->tick = tcp_ticks;
		challenges->count = 0;
	}
	if (challenges->count++ >= CHALLENGES_MAX)
		return;
	tcp_ack_now(pcb);
	tcp_output(pcb);
}

/*
 * RFC 5961 5.2: an acknowledgement may be older than the last one by the largest window that the
 * peer has offered, and must not be of something that has not been sent.
 */
static bool acceptable_ack(const struct tcp_pcb *pcb, u32_t ack)
{
	u32_t oldest = pcb->lastack - pcb->snd_wnd_max;

	return TCP_SEQ_GEQ(ack, oldest) && TCP_SEQ_LEQ(ack, pcb->snd_nxt);
}

/* lwip_tcp_in.c */
void melin_reset_answers(int acknowledges);
void melin_reset_answers(int acknowledges)
{
	melin_instance->next_reset = acknowledges ? RESET_FOR_ACK : RESET_WITHOUT_ACK;
}

static void shape_reset(struct tcp_hdr *header)
{
	const enum reset_form next = melin_instance->next_reset;

	if (next == RESET_FOR_ACK) {
		TCPH_UNSET_FLAG(header, TCP_ACK);
		header->ackno = 0;
	} else if (next == RESET_WITHOUT_ACK) {
		header->seqno = 0;
	}
	header->wnd = 0; /* as Linux */
	melin_instance->next_reset = RESET_OF_OUR_OWN;
}

static void note_received(struct stack_socket *socket, const struct tcp_pcb *pcb,
			  const struct tcp_hdr *header, u8_t flags)
{
	socket->info.segments_in++;
	socket->info.last_received = melin_clock_ns() / 1000000;
	if (!(flags & TCP_ACK) || pcb->state < ESTABLISHED)
		return;
	socket->soft_error = 0; /* the path works again */
	if (TCP_SEQ_GT(header->ackno, pcb->lastack)) {
		socket->retry.since = 0;
		socket->output.more = false; /* as Linux's tcp_data_snd_check() */
	}
}

/* A segment that is not the next one has come. Returns whether lwIP is to see it. */
static bool goes_to_queue(struct stack_socket *socket, struct tcp_pcb *pcb,
			  const struct tcp_hdr *header, const struct pbuf *payload)
{
	if (pressure_now() == PRESSURE_LIMIT)
		return false;
	if (socket && timestamps_accept(pcb, header, payload->tot_len) &&
	    reassembly_append(pcb, header, payload)) {
		note_received(socket, pcb, header, TCPH_FLAGS(header));
		info_note_received(socket, pcb, payload->tot_len);
		out_of_order_note(socket);
		return false;
	}
	return out_of_order_may_wait(socket, pcb);
}

/* New data for a socket that nobody can read or write any more. */
static bool refuses_data(const struct stack_socket *socket, const struct tcp_pcb *pcb,
			 const struct tcp_hdr *header, u32_t size)
{
	return socket->shutdown == SHUT_BOTH && !socket->fin_received && !socket->released &&
	       (pcb->state == FIN_WAIT_1 || pcb->state == FIN_WAIT_2) &&
	       TCP_SEQ_GT(header->seqno + size, pcb->rcv_nxt);
}

/*
 * A segment may do nothing but close the window. lwIP believes in a smaller window only if the
 * sequence or the acknowledgement number has moved, too. RFC 9293 3.10.7.4 does not ask for that,
 * nor does Linux when the window closes.
 */
static void note_closed_window(struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
	if (header->wnd == 0 && pcb->snd_wnd && header->seqno == pcb->snd_wl1 &&
	    header->ackno == pcb->snd_wl2)
		pcb->snd_wl1--;
}

/*
 * Data up to the window's edge although the peer's FIN waits out of order, which has its place
 * within the window, too: lwIP would take all of it together, one more than there is room for.
 */
static bool runs_over_fin(const struct tcp_pcb *pcb, const struct tcp_hdr *header, u32_t size)
{
	const struct tcp_seg *last = pcb->ooseq;

	if (TCP_SEQ_LT(header->seqno + size, pcb->rcv_nxt + pcb->rcv_wnd))
		return false;
	while (last->next)
		last = last->next;
	return TCPH_FLAGS(last->tcphdr) & TCP_FIN;
}

/*
 * As Linux's tcp_sequence(). lwIP would believe what a bare acknowledgement says of the peer's
 * window, from wherever, and then no true one any more, whose numbers are lower.
 */
static bool is_behind_window(const struct tcp_pcb *pcb, u32_t sequence)
{
	return TCP_SEQ_GT(sequence, pcb->rcv_nxt + pcb->rcv_wnd) &&
	       TCP_SEQ_GT(sequence, pcb->rcv_ann_right_edge);
}

/*
 * Two ends that answer each bare segment from outside of the window answer each other's answers for
 * ever. As Linux's tcp_oow_rate_limited(): they are answered twice a second.
 */
#define OUTSIDE_PAUSE_MS 500

static bool may_answer_outside(struct stack_socket *socket)
{
	const uint64_t now = melin_clock_ns() / 1000000;

	if (socket->segments.outside_answered &&
	    now - socket->segments.outside_answered < OUTSIDE_PAUSE_MS)
		return false;
	socket->segments.outside_answered = now;
	return true;
}

static void answer_outside(struct stack_socket *socket, struct tcp_pcb *pcb)
{
	if (socket && may_answer_outside(socket))
		challenge(pcb);
}

static bool synchronised(struct stack_socket *socket, struct tcp_pcb *pcb,
			 const struct tcp_hdr *header, const struct pbuf *payload, u8_t flags)
{
	u32_t size = payload->tot_len + (flags & TCP_FIN ? 1u : 0u);

	if (flags & (TCP_RST | TCP_SYN))
		return true; /* lwIP follows RFC 5961 sections 3 and 4 */
	if (!(flags & TCP_ACK))
		return false;
	if (!acceptable_ack(pcb, header->ackno)) {
		challenge(pcb);
		return false;
	}
	if (!size && is_behind_window(pcb, header->seqno)) {
		answer_outside(socket, pcb);
		return false;
	}
	if (payload->tot_len && socket && refuses_data(socket, pcb, header, payload->tot_len)) {
		socket->data_refused = true;
		socket_changed(socket,
			       EPOLLIN | EPOLLHUP); /* reported, and reset, after the burst */
		return false;
	}
	note_closed_window(pcb, header);
	/* As Linux's tcp_try_rmem_schedule(): the peer sends it again when some has been read. */
	if (payload->tot_len && pressure_now() == PRESSURE_LIMIT && socket &&
	    socket->received.bytes > PRESSURE_GUARANTEED) {
		socket_changed(socket, EPOLLIN); /* what is there is all that will come */
		return false;
	}
	if (pcb->ooseq && payload->tot_len && runs_over_fin(pcb, header, payload->tot_len))
		return false;
	if (size && header->seqno != pcb->rcv_nxt) {
		/*
		 * The number is half the way round the sequence space: lwIP 2.1.3 takes it for
		 * older and for newer at once.
		 */
		if (header->seqno - pcb->rcv_nxt == 1u << 31) {
			challenge(pcb);
			return false;
		}
		if (socket)
			gap_note_received(socket, pcb, header, payload->tot_len);
		/*
		 * lwIP would queue it untrimmed, and it would run over the window once the gap is
		 * filled.
		 */
		if (TCP_SEQ_GT(header->seqno + size, pcb->rcv_nxt + pcb->rcv_wnd))
			return false;
		if (TCP_SEQ_GT(header->seqno, pcb->rcv_nxt))
			return goes_to_queue(socket, pcb, header, payload);
	}
	return true;
}

/*
 * A segment for a half-open connection. Data with a SYN confuses lwIP 2.1.3. While the accept queue
 * is full the handshake's last ACK is ignored, and the connection stays half-open. Returns whether
 * lwIP is to see the segment.
 */
static bool half_open(struct stack_socket *child, const struct tcp_pcb *pcb, struct tcp_hdr *header,
		      struct pbuf *payload, u8_t flags)
{
	if ((flags & TCP_SYN) && payload->tot_len)
		return false;
	if (header->seqno - pcb->rcv_nxt == 1u << 31)
		return false; /* see synchronised() */
	if (!child || (flags & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_ACK)
		return true;
	if (header->ackno != pcb->lastack + 1)
		return !listen_take_cookie(child, header, payload);
	return !accept_queue_refuses(child);
}

/* lwip_tcp_in.c */
void melin_lwip_read_options(struct tcp_pcb *pcb);
void melin_lwip_become_synack(void);

/* Sends our SYN once more, now with an acknowledgement of the peer's SYN. */
static void answer_crossing(struct tcp_pcb *pcb)
{
	struct tcp_seg *syn = pcb->unacked ? pcb->unacked : pcb->unsent;
	s16_t waited = pcb->rtime;

	if (!syn)
		return;
	TCPH_SET_FLAG(syn->tcphdr, TCP_ACK);
	if (syn == pcb->unacked)
		melin_lwip_retransmit(pcb, syn);
	/* A peer that goes on sending SYNs must not make connect() last longer */
	pcb->rtime = waited;
}

/*
 * A segment for a connection that connect() has begun. A SYN without an ACK means that both ends
 * have called connect() at once (RFC 9293 3.5). lwIP stays in its state SYN_SENT, in which it waits
 * for the peer's SYN-ACK. If that is lost and only the ACK behind it arrives, the ACK is taken for
 * both. Returns whether lwIP is to see the segment.
 */
static bool calling(struct stack_socket *socket, struct tcp_pcb *pcb, const struct tcp_hdr *header,
		    u8_t flags)
{
	if (!socket)
		return true;
	if ((flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN) {
		socket->handshake.crossed = true;
		pcb->rcv_nxt = header->seqno + 1;
		pcb->rcv_ann_right_edge = pcb->rcv_nxt;
		melin_lwip_read_options(pcb);
		answer_crossing(pcb);
		return false;
	}
	if (socket->handshake.crossed && (flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_ACK &&
	    header->seqno == pcb->rcv_nxt && header->ackno == pcb->lastack + 1)
		melin_lwip_become_synack();
	return true;
}

/*
 * lwIP answers each segment without data whose number is not within its window, and nothing is
 * within a closed one. As for Linux's tcp_sequence() the edges are within.
 */
static void judge_bare(struct stack_socket *socket, struct tcp_pcb *pcb,
		       const struct tcp_hdr *header)
{
	if (!TCP_SEQ_BETWEEN(header->seqno, pcb->rcv_nxt, pcb->rcv_nxt + pcb->rcv_wnd) &&
	    may_answer_outside(socket))
		return;
	/* An ACK that was pending before this segment is still sent. */
	socket->segments.no_answer = !(pcb->flags & TF_ACK_NOW);
}

/*
 * ip(7), IP_MINTTL. RFC 5082: only a host on the same link can send a packet that arrives with the
 * highest TTL.
 */
static bool comes_from_afar(const struct socket_options *options)
{
	if (ip_current_is_v6())
		return IP6H_HOPLIM(ip6_current_header()) < options->least_hops;
	return IPH_TTL(ip4_current_header()) < options->least_ttl;
}

/* lwip_tcp_in.c */
void melin_lwip_take_fin_off(void);

/*
 * Of a connection that is borrowed from the kernel: its end is the kernel's to receive, and to
 * acknowledge. Data that comes with it is taken. Returns whether lwIP may have the segment.
 */
static bool leave_end(struct stack_socket *socket, struct tcp_pcb *pcb,
		      const struct tcp_hdr *header, const struct pbuf *payload, u8_t *flags)
{
	if (*flags & TCP_RST) {
		if (header->seqno != pcb->rcv_nxt)
			return true; /* lwIP challenges what is within the window */
		adopted_reset_came(socket);
		return false;
	}
	melin_lwip_take_fin_off();
	*flags &= (u8_t)~TCP_FIN;
	if ((*flags & TCP_ACK) && acceptable_ack(pcb, header->ackno) &&
	    timestamps_accept(pcb, header, payload->tot_len))
		adopted_fin_came(socket, header->seqno + payload->tot_len);
	return true;
}

err_t melin_segment_received(struct tcp_pcb *pcb, struct tcp_hdr *header, struct pbuf *payload)
{
	u8_t flags = TCPH_FLAGS(header);
	struct stack_socket *socket;
	struct recovery *recovery;
	bool good = true;

	if (pcb->state == TIME_WAIT)
		return ERR_OK;
	socket = socket_of(pcb);
	if (socket && (socket->options.least_ttl | socket->options.least_hops) &&
	    comes_from_afar(&socket->options))
		return ERR_VAL;
	if ((flags & (TCP_FIN | TCP_RST)) && socket && socket->is_borrowed &&
	    !leave_end(socket, pcb, header, payload, &flags))
		return ERR_VAL;
	if (pcb->state == LISTEN)
		return listen_segment(pcb, header, payload) ? ERR_VAL : ERR_OK;
	if (pcb->state == SYN_RCVD)
		good = half_open(socket, pcb, header, payload, flags);
	else if (pcb->state == SYN_SENT)
		good = calling(socket, pcb, header, flags);
	else
		good = synchronised(socket, pcb, header, payload, flags);
	if (!good)
		return ERR_VAL;
	if (pcb->state >= ESTABLISHED && !timestamps_accept(pcb, header, payload->tot_len)) {
		challenge(pcb);
		return ERR_VAL;
	}
	recovery = recovery_of(pcb);
	if (recovery && (flags & TCP_ACK))
		recovery_acknowledged(recovery, header, payload->tot_len);
	if (socket) {
		note_received(socket, pcb, header, flags);
		info_note_received(socket, pcb, payload->tot_len);
		socket->segments.no_answer = false;
		if (pcb->state >= ESTABLISHED && payload->tot_len == 0 &&
		    !(flags & (TCP_SYN | TCP_FIN | TCP_RST)))
			judge_bare(socket, pcb, header);
		if ((flags & TCP_URG) && pcb->state != SYN_SENT)
			receive_urgent_pointer(socket, pcb, header);
	}
	return ERR_OK;
}

/*
 * An acknowledgement's sequence number must lie in the peer's window, or the peer ignores the
 * acknowledgement. snd_nxt may lie beyond the window, after a probe of a closed window or after
 * data that was in flight when it closed; two ends that both wait for room would then wait for
 * ever. So the window's end is used instead, as in Linux's tcp_acceptable_seq().
 */
static void keep_acceptable(struct tcp_hdr *header, const struct tcp_pcb *pcb, u32_t seq)
{
	u32_t end = pcb->lastack + pcb->snd_wnd;

	if (TCPH_FLAGS(header) == TCP_ACK && TCP_SEQ_GT(seq, end))
		header->seqno = lwip_htonl(end);
}

/* TCP_MAXSEG: lowers the segment size that a SYN announces. lwIP writes that option first. */
static void announce_segment(struct tcp_hdr *header, uint16_t most)
{
	uint8_t *option = (uint8_t *)(header + 1);

	if (TCPH_HDRLEN_BYTES(header) < TCP_HLEN + 4 || option[0] != LWIP_TCP_OPT_MSS ||
	    (option[2] << 8 | option[3]) <= most)
		return;
	option[2] = (uint8_t)(most >> 8);
	option[3] = (uint8_t)most;
}

/*
 * Whether a byte or FIN whose number is before pcb->snd_nxt was sent before, probes for room left
 * aside.
 */
static bool is_sent_again(const struct tcp_pcb *pcb, u32_t seq)
{
	struct recovery *recovery = recovery_of(pcb);

	if (!recovery)
		return true;
	if (recovery->asks)
		return false;
	if (!recovery->has_asked || seq + 1 != pcb->snd_nxt)
		return true;
	recovery->has_asked = false; /* but this one bears it */
	return false;
}

static void note_told(struct stack_socket *socket, const struct tcp_pcb *pcb,
		      const struct tcp_hdr *header)
{
	const u32_t edge =
		lwip_ntohl(header->ackno) + ((u32_t)lwip_ntohs(header->wnd) << pcb->rcv_scale);

	if (TCP_SEQ_GT(edge, socket->received.told))
		socket->received.told = edge;
}

u32_t *melin_segment_sent(struct pbuf *segment, struct tcp_hdr *header, const struct tcp_pcb *pcb,
			  u32_t *options)
{
	u32_t seq = lwip_ntohl(header->seqno);
	u32_t size = segment->tot_len - TCPH_HDRLEN_BYTES(header);
	u8_t flags = TCPH_FLAGS(header);
	bool again, is_old;

	melin_fragment_bits = PP_HTONS(IP_DF);
	if (melin_instance->host.borrows)
		melin_instance->host.sender = pcb ? socket_of(pcb) : NULL;
	if (flags & TCP_RST)
		shape_reset(header);
	if (!pcb || pcb->state == LISTEN)
		return options;
	if (socket_of(pcb) && socket_of(pcb)->path.may_fragment)
		melin_fragment_bits = 0;
	segment->sent_us = (u32_t)(melin_clock_ns() / 1000);
	is_old = (size || (flags & (TCP_SYN | TCP_FIN))) && TCP_SEQ_LT(seq, pcb->snd_nxt);
	/*
	 * A SYN has the number before snd_nxt when it is sent for the first time, too:
	 * tcp_connect().
	 */
	if (pcb->state == SYN_SENT)
		again = is_old = (flags & TCP_SYN) && pcb->nrtx > 0;
	else
		again = is_old && is_sent_again(pcb, seq);
	/* Nobody knows whether the answer is to a probe for room, which bore the same number. */
	segment->sent_again = again || (is_old && size);
	if (again)
		melin_instance->counters.retransmissions++;
	if (size == 0)
		keep_acceptable(header, pcb, seq);
	if (socket_of(pcb)) {
		if ((flags & TCP_SYN) && socket_of(pcb)->options.maximum_segment)
			announce_segment(header, socket_of(pcb)->options.maximum_segment);
		note_told(socket_of(pcb), pcb, header);
		output_note_segment(socket_of(pcb), pcb, seq, size, again);
		urgent_stamp(socket_of(pcb), pcb, header, seq);
	}
	return timestamps_write(pcb, options);
}

u8_t melin_option_length(const struct tcp_pcb *pcb, u8_t others)
{
	return (u8_t)(others + (timestamps_are_used(pcb) ? TIMESTAMPS_LENGTH : 0));
}
