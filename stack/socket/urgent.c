/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Urgent data: urgent.h. Linux's tcp_check_urg(), tcp_urg(), tcp_recv_urg() and what
 * tcp_transmit_skb() does about it.
 */
#include "stack/socket/urgent.h"

#include <errno.h>
#include <stdint.h>

#include "lwip/priv/tcp_priv.h"

#include "common/connection_state.h"
#include "stack/socket/socket.h"

/* Below 0 while data is unread that had come before the connection was borrowed. */
static uint64_t read_up_to(const struct stack_socket *socket)
{
	return socket->info.bytes_received - socket->received.bytes;
}

/* ---- the peer's ---- */

bool urgent_find(const struct stack_socket *socket, const struct tcp_pcb *pcb,
		 const struct tcp_hdr *header, uint64_t *place)
{
	uint16_t pointer = lwip_ntohs(header->urgp);
	/* BSD's reading of RFC 793, which everybody follows: the byte before the pointer. */
	u32_t sequence = header->seqno + (pointer ? pointer - 1u : 0u);

	if (TCP_SEQ_LT(sequence, pcb->rcv_nxt)) /* said before */
		return false;
	if (TCP_SEQ_GT(header->seqno, pcb->rcv_nxt + pcb->rcv_wnd))
		return false;
	*place = socket->info.bytes_received + (sequence - pcb->rcv_nxt);
	return socket->urgent.state == URGENT_NONE || *place > socket->urgent.place;
}

void urgent_await(struct stack_socket *socket, uint64_t place)
{
	socket->urgent.state = URGENT_AWAITED;
	socket->urgent.place = place;
	socket->urgent.announced = true;
}

void urgent_moved(struct stack_socket *socket)
{
	struct urgent *urgent = &socket->urgent;

	if (urgent->state == URGENT_NONE)
		return;
	if (urgent->state == URGENT_AWAITED && socket->info.bytes_received > urgent->place)
		urgent->state = URGENT_THERE;
	if ((int64_t)(read_up_to(socket) - urgent->place) > 0)
		urgent->state = URGENT_NONE;
}

size_t urgent_distance(const struct stack_socket *socket)
{
	if (socket->urgent.state == URGENT_NONE)
		return SIZE_MAX;
	return (size_t)(socket->urgent.place - read_up_to(socket));
}

bool urgent_is_next(const struct stack_socket *socket)
{
	return urgent_distance(socket) == 0 && socket->received.bytes &&
	       !socket->options.urgent_in_line;
}

ssize_t urgent_receive(struct stack_socket *socket, const struct iovec *iov, size_t count,
		       int flags)
{
	struct urgent *urgent = &socket->urgent;

	if (socket->state == SOCKET_LISTENING)
		return -ENOTCONN;
	if (socket->options.urgent_in_line || urgent->state == URGENT_NONE ||
	    urgent->state == URGENT_READ)
		return -EINVAL;
	if (socket->state == SOCKET_CLOSED && !socket->fin_received)
		return -ENOTCONN;
	if (urgent->state == URGENT_AWAITED)
		return socket->state == SOCKET_CLOSED || (socket->shutdown & SHUT_RECEIVE)
			       ? 0
			       : -EAGAIN;
	while (count && iov->iov_len == 0) {
		iov++;
		count--;
	}
	if (count && !(flags & MSG_TRUNC))
		*(uint8_t *)iov->iov_base =
			receive_queue_byte(&socket->received, urgent_distance(socket));
	if (!(flags & MSG_PEEK))
		urgent->state = URGENT_READ;
	return count != 0;
}

void urgent_tell(const struct stack_socket *socket, struct connection_state *state)
{
	static const uint8_t told[] = {
		[URGENT_NONE] = CONNECTION_URGENT_NONE,
		[URGENT_AWAITED] = CONNECTION_URGENT_AWAITED,
		[URGENT_THERE] = CONNECTION_URGENT_THERE,
		[URGENT_READ] = CONNECTION_URGENT_READ,
	};
	const struct urgent *urgent = &socket->urgent;

	state->urgent = told[urgent->state];
	state->urgent_number =
		state->receive_next + (uint32_t)(urgent->place - socket->info.bytes_received);
	state->sends_urgent = urgent_is_sending(socket, socket->pcb);
	state->urgent_end = urgent->end;
}

/* ---- ours ---- */

void urgent_send(struct stack_socket *socket)
{
	socket->urgent.sending = true;
	socket->urgent.end = socket->pcb->snd_lbb;
}

bool urgent_is_sending(const struct stack_socket *socket, const struct tcp_pcb *pcb)
{
	return socket->urgent.sending && TCP_SEQ_GT(socket->urgent.end, pcb->lastack);
}

void urgent_acknowledged(struct stack_socket *socket, const struct tcp_pcb *pcb)
{
	if (socket->urgent.sending && !TCP_SEQ_GT(socket->urgent.end, pcb->lastack))
		socket->urgent.sending = false; /* or it would be ahead again after 2 GB */
}

void urgent_stamp(const struct stack_socket *socket, const struct tcp_pcb *pcb,
		  struct tcp_hdr *header, uint32_t sequence)
{
	uint32_t pointer = socket->urgent.end - sequence;

	/* What is too far ahead for the field cannot be told yet. */
	if (urgent_is_sending(socket, pcb) && pointer != 0 && pointer <= 0xffff) {
		TCPH_SET_FLAG(header, TCP_URG);
		header->urgp = lwip_htons((u16_t)pointer);
	} else if (TCPH_FLAGS(header) & TCP_URG) { /* sent again, and no longer urgent */
		TCPH_UNSET_FLAG(header, TCP_URG);
		header->urgp = 0;
	}
}
