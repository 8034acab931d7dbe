/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections that change their carrier: one that the kernel has made goes on here (adopt), and one
 * of ours goes on there (give up). Only established ones: whose FIN has been sent or received
 * stays where it is. Not for the kernel's side: broker/repair.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "common/connection_state.h"
#include "stack/instance_parts.h"
#include "stack/ip/sockaddr.h"
#include "stack/socket/output.h"
#include "stack/socket/socket.h"
#include "stack/tcp/timestamps.h"

/* ---- from the kernel ---- */

static int name_ends(struct stack_socket *socket, const struct connection_state *state)
{
	int status = sockaddr_read((const struct sockaddr *)&state->local, &socket->local,
				   &socket->local_port);

	if (status == 0)
		status = sockaddr_read((const struct sockaddr *)&state->remote, &socket->remote,
				       &socket->remote_port);
	if (status)
		return status;
	if (melin_index_find(&socket->local, socket->local_port, &socket->remote,
			     socket->remote_port))
		return -EEXIST;
	return 0;
}

static void set_sender(struct tcp_pcb *pcb, const struct connection_state *state)
{
	pcb->snd_nxt = pcb->snd_lbb = pcb->lastack = state->send_unacknowledged;
	pcb->snd_wl1 = state->send_wl1;
	pcb->snd_wl2 = state->send_unacknowledged;
	pcb->snd_wnd = state->send_window;
	pcb->snd_wnd_max = LWIP_MAX(state->send_window_max, state->send_window);
	/* lwIP makes segments of half of it; of none it makes full ones: pcb_established(). */
	if (pcb->snd_wnd_max >= 2)
		pcb->snd_wnd_max = LWIP_MAX(pcb->snd_wnd_max, 2 * SEGMENT_MIN);
}

/*
 * The right edge that was announced is kept, whatever the buffer's size here: a window must not
 * shrink (RFC 9293 3.8.6). It is told anew in units of the scale, so it is rounded up.
 */
static void set_receiver(struct stack_socket *socket, struct tcp_pcb *pcb,
			 const struct connection_state *state)
{
	uint32_t edge = state->receive_window_start + state->receive_window;
	uint32_t open = TCP_SEQ_GT(edge, state->receive_next) ? edge - state->receive_next : 0;
	uint32_t needed = open + (uint32_t)state->receive_size;
	const uint32_t unit = 1u << pcb->rcv_scale;

	if (socket->options.receive_buffer / 2 < needed)
		socket->options.receive_buffer = LWIP_MIN(needed, RECEIVE_WINDOW_MAX) * 2;
	pcb->rcv_nxt = state->receive_next;
	pcb->rcv_ann_right_edge = socket->received.told = state->receive_next + open;
	pcb->rcv_wnd = TCP_WND_MAX(pcb) - LWIP_MIN((uint32_t)state->receive_size, TCP_WND_MAX(pcb));
	pcb->rcv_ann_wnd = LWIP_MIN((open + unit - 1) & ~(unit - 1), LWIP_MAX(open, pcb->rcv_wnd));
}

static void set_options(struct tcp_pcb *pcb, const struct connection_state *state)
{
	if (state->scaled) {
		pcb->snd_scale = state->send_scale;
		pcb->rcv_scale = state->receive_scale;
		tcp_set_flags(pcb, TF_WND_SCALE);
	}
	if (state->sack)
		tcp_set_flags(pcb, TF_SACK);
	/* lwIP's has the options' room in it. */
	pcb->mss = (u16_t)(state->segment + (state->timestamps ? TIMESTAMPS_LENGTH : 0));
}

static int take_unread(struct stack_socket *socket, const struct connection_state *state)
{
	size_t done = 0;

	while (done < state->receive_size) {
		u16_t part = (u16_t)LWIP_MIN(state->receive_size - done, 0x4000u);
		struct pbuf *data = pbuf_alloc(PBUF_RAW, part, PBUF_RAM);

		if (!data)
			return -ENOMEM;
		memcpy(data->payload, state->receive_data + done, part);
		receive_queue_add(socket, data);
		done += part;
	}
	return 0;
}

/* What the kernel had sent goes out once more: it cannot be told from what it had not. */
static int take_unsent(struct stack_socket *socket, const struct connection_state *state)
{
	struct tcp_pcb *pcb = socket->pcb;
	size_t done = 0;

	while (done < state->send_size) {
		u16_t part = (u16_t)LWIP_MIN(state->send_size - done, 0x4000u);

		pcb->snd_buf = (tcpwnd_size_t)state->send_size;
		if (output_write(socket, state->send_data + done, part, TCP_WRITE_FLAG_COPY))
			return -ENOMEM;
		done += part;
	}
	return 0;
}

static struct tcp_pcb *make_pcb(struct stack_socket *socket, const struct connection_state *state)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&socket->remote));

	if (!pcb)
		return NULL;
	ip_addr_copy(pcb->local_ip, socket->local);
	ip_addr_copy(pcb->remote_ip, socket->remote);
	/* Link-local addresses have no zone here, and without it lwIP finds no way to them. */
	if (socket->stack->host.borrows)
		tcp_bind_netif(pcb, &socket->stack->host.netif);
	pcb->local_port = socket->local_port;
	pcb->remote_port = socket->remote_port;
	set_options(pcb, state);
	pcb_attach(socket, pcb);
	set_sender(pcb, state);
	set_receiver(socket, pcb, state);
	pcb->state = ESTABLISHED;
	TCP_REG_ACTIVE(pcb);
	return pcb;
}

static void set_path(struct stack_socket *socket, const struct connection_state *state)
{
	struct recovery *recovery = &socket->recovery;

	recovery->trip.smoothed_us = state->rtt_us;
	recovery->trip.deviation_us = state->rtt_deviation_us;
	recovery->trip.least_us = state->least_rtt_us;
	recovery->trip.least_at_us = melin_clock_ns() / 1000;
	recovery->congestion.window = LWIP_MAX(state->congestion_window, socket->pcb->mss);
	if (state->slow_start_threshold)
		recovery->congestion.threshold = state->slow_start_threshold;
}

static int adopt(struct stack_socket *socket, const struct connection_state *state)
{
	int status = name_ends(socket, state);
	struct tcp_pcb *pcb;

	if (status == 0)
		status = adopted_begin(socket, state);
	if (status)
		return status;
	pcb = make_pcb(socket, state);
	if (!pcb || (state->timestamps &&
		     !timestamps_begin(pcb, state->timestamp, state->timestamp_recent)))
		return -ENOMEM;
	socket->phase = PHASE_CONNECTED;
	pcb_established(socket);
	set_path(socket, state);
	status = take_unread(socket, state);
	return status ? status : take_unsent(socket, state);
}

int adopt_connection(struct stack *stack, int domain, bool v6only, void *user,
		     const struct connection_state *state, struct stack_socket **result)
{
	struct stack_socket *socket = socket_new(stack, domain);
	int status = socket ? adopt(socket, state) : -ENOMEM;

	if (status == 0) {
		socket->v6only = v6only;
		socket->user = user;
		socket->owned = true;
		tcp_output(socket->pcb);
		socket_changed(socket, 0);
		*result = socket;
	} else if (socket) {
		socket_forget(socket);
		socket_free(socket);
	}
	return status;
}

/* ---- to the kernel ---- */

/* What is only half there cannot be put back by TCP_REPAIR. */
static int may_give(const struct stack_socket *socket)
{
	const struct tcp_pcb *pcb = socket->pcb;

	if (socket->state != SOCKET_CONNECTED || !pcb || pcb->state != ESTABLISHED ||
	    (pcb->flags & TF_FIN) || socket->shutdown)
		return -ENOTCONN;
	return 0;
}

static uint32_t announced_room(const struct stack_socket *socket)
{
	const uint32_t next = socket->pcb->rcv_nxt;

	return TCP_SEQ_GT(socket->received.told, next) ? socket->received.told - next : 0;
}

/*
 * Says what the kernel will not know that it is owed: an acknowledgement; and room to a peer that
 * may send hardly anything, of which the kernel speaks only after the program has read something
 * from it. What was read here may be all that there was: then the peer would wait until it probes.
 */
static void say_what_is_owed(const struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;
	/* The last segment may have said less than was said before: the scale cuts a part off. */
	const uint32_t said = pcb->rcv_ann_wnd >> pcb->rcv_scale << pcb->rcv_scale;
	const uint32_t room = LWIP_MIN(announced_room(socket), said);
	const bool is_waited_for = room < LWIP_MIN(2u * pcb->mss, pcb->rcv_wnd);

	if (is_waited_for)
		pcb->rcv_ann_wnd = pcb->rcv_wnd;
	if (is_waited_for || (pcb->flags & (TF_ACK_DELAY | TF_ACK_NOW)))
		tcp_send_empty_ack(pcb);
}

static void tell_windows(const struct stack_socket *socket, struct connection_state *state)
{
	const struct tcp_pcb *pcb = socket->pcb;

	state->send_unacknowledged = pcb->lastack;
	state->send_wl1 = pcb->snd_wl1;
	state->send_window = pcb->snd_wnd;
	state->send_window_max = pcb->snd_wnd_max;
	state->receive_next = pcb->rcv_nxt;
	state->receive_window = announced_room(socket);
	state->receive_window_start = pcb->rcv_nxt;
	/* The kernel refuses a number from behind the window, and the connection would be lost. */
	if (TCP_SEQ_GT(state->send_wl1, state->receive_next + state->receive_window))
		state->send_wl1 = state->receive_next;
}

static void tell_options(const struct stack_socket *socket, const struct tcp_pcb *pcb,
			 struct connection_state *state)
{
	state->scaled = pcb->flags & TF_WND_SCALE;
	state->send_scale = pcb->snd_scale;
	state->receive_scale = pcb->rcv_scale;
	state->sack = pcb->flags & TF_SACK;
	state->timestamps = timestamps_are_used(pcb);
	state->timestamp = timestamps_now(pcb);
	state->timestamp_recent = timestamps_recent(pcb);
	state->segment = timestamps_full_segment(pcb);
	state->congestion_window = socket->recovery.congestion.window;
	state->slow_start_threshold = socket->recovery.congestion.threshold;
	state->rtt_us = socket->recovery.trip.smoothed_us;
	state->rtt_deviation_us = socket->recovery.trip.deviation_us;
	state->least_rtt_us = socket->recovery.trip.least_us;
}

/* The first may have been acknowledged in part. */
static size_t copy_segments(const struct tcp_seg *segment, uint32_t from, uint8_t *to)
{
	size_t done = 0;

	for (; segment; segment = segment->next) {
		uint32_t start = lwip_ntohl(segment->tcphdr->seqno);
		uint32_t skip = TCP_SEQ_LT(start, from) ? from - start : 0;
		const uint8_t *data =
			(const uint8_t *)segment->tcphdr + TCPH_HDRLEN_BYTES(segment->tcphdr);

		if (skip >= segment->len)
			continue;
		memcpy(to + done, data + skip, segment->len - skip);
		done += segment->len - skip;
	}
	return done;
}

static int tell_data(const struct stack_socket *socket, struct connection_state *state)
{
	const struct tcp_pcb *pcb = socket->pcb;
	size_t unsent = send_buffer_queued(socket), unread = socket->received.bytes;
	size_t done, sent;

	state->send_data = malloc(unsent ? unsent : 1);
	state->receive_data = malloc(unread ? unread : 1);
	if (!state->send_data || !state->receive_data)
		return -ENOMEM;
	done = copy_segments(pcb->unacked, pcb->lastack, state->send_data);
	done += copy_segments(pcb->unsent, pcb->lastack, state->send_data + done);
	state->send_size = done;
	/* What waits to be sent again is among the unsent segments. */
	sent = pcb->snd_nxt - pcb->lastack;
	state->send_unsent = done > sent ? done - sent : 0;
	receive_queue_copy(&socket->received, state->receive_data);
	state->receive_size = unread;
	return 0;
}

int adopt_give(struct stack_socket *socket, struct connection_state *state)
{
	int status = may_give(socket);

	memset(state, 0, sizeof(*state));
	if (status == 0)
		status = tell_data(socket, state);
	if (status == 0) {
		sockaddr_write(socket->domain, &socket->local, socket->local_port, &state->local);
		sockaddr_write(socket->domain, &socket->remote, socket->remote_port,
			       &state->remote);
		say_what_is_owed(socket);
		tell_windows(socket, state);
		tell_options(socket, socket->pcb, state);
		urgent_tell(socket, state);
		adopted_tell(socket, state);
		adopted_forget(socket);
		socket_forget(socket);
		memset(&socket->urgent, 0, sizeof(socket->urgent));
		socket->state = SOCKET_GIVEN;
		socket->user = NULL;
		socket_changed(socket, 0);
	} else {
		connection_state_clear(state);
	}
	return status;
}
