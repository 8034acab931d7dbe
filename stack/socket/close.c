/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * close(2), shutdown(2), and what ends a connection but leaves the socket: close.h.
 */
#include "stack/socket/close.h"

#include <errno.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket/socket.h"

/*
 * lwIP takes a receive window that is not fully open for unread data, and makes tcp_close() a
 * reset. Whether there is unread data has been decided already, by the queue; so the window is
 * opened.
 */
static void return_credit(struct tcp_pcb *pcb)
{
	pcb->rcv_wnd = TCP_WND_MAX(pcb);
}

/* As Linux's tcp_close(), without the wait for SO_LINGER. */
static void close_connection(struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;
	bool unread = socket->received.bytes > 0;
	bool abort = unread || (socket->options.linger && socket->options.linger_seconds == 0);

	/* As Linux's tcp_check_oom(): nobody will read or write, and it may last for minutes. */
	if (pressure_now() == PRESSURE_LIMIT && send_buffer_queued(socket) > PRESSURE_GUARANTEED)
		abort = true;
	if (!abort)
		recovery_hand_over(socket);
	pcb_detach(socket);
	if (pcb->state == TIME_WAIT) /* both sides have closed; its time-out ends it */
		return;
	if (abort && pcb->state != CLOSED) {
		tcp_clear_flags(pcb, TF_ACK_DELAY); /* the reset acknowledges, too */
		tcp_abort(pcb);
		return;
	}
	return_credit(pcb);
	/* Without keepalive keep_idle is free: lwip_changes.h makes it the time in FIN_WAIT_2. */
	ip_reset_option(pcb, SOF_KEEPALIVE);
	pcb->keep_idle = (u32_t)LWIP_MAX(socket->options.fin_timeout, 0) * 1000;
	tcp_close(pcb);
}

void socket_disconnect(struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;

	if (socket->state == SOCKET_LISTENING) {
		listen_stop(socket);
	} else if (pcb) {
		pcb_detach(socket);
		tcp_abandon(pcb, pcb->state != SYN_SENT);
	}
	receive_queue_clear(&socket->received);
	socket->state = SOCKET_CLOSED;
	socket->shutdown = 0;
	socket->fin_received = false;
	socket->window.pressure_most = 0;
	memset(&socket->recovery, 0, sizeof(socket->recovery));
	memset(&socket->gap, 0, sizeof(socket->gap));
	memset(&socket->urgent, 0, sizeof(socket->urgent));
	memset(&socket->info, 0, sizeof(socket->info));
	socket->handshake.called = false;
	socket->handshake.round_trip_us = 0;
	acknowledge_reset(socket);
	socket->output.small_sent = false;
	socket->retry.since = 0;
	socket->soft_error = 0;
}

void socket_forget(struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;

	pcb_detach(socket);
	if (pcb)
		tcp_abandon(pcb, 0);
	receive_queue_clear(&socket->received);
	socket->state = SOCKET_CLOSED;
	socket->phase = PHASE_UNCONNECTED;
}

void socket_end(struct stack_socket *socket)
{
	socket->user = NULL;
	if (socket->state == SOCKET_LISTENING)
		listen_stop(socket);
	else if (socket->is_borrowed)
		socket_forget(socket);
	else if (socket->pcb)
		close_connection(socket);
	socket->state = SOCKET_CLOSED;
}

void socket_release(struct stack_socket *socket)
{
	socket_end(socket);
	socket_free(socket);
}

#define ENDS (READY_INPUT | READY_OUTPUT | EPOLLRDHUP | EPOLLHUP)

/* As inet_shutdown(): an attempt or a listener is dissolved, which is an error to its owner. */
int socket_shut_down(struct stack_socket *socket, int how)
{
	uint8_t directions = (uint8_t)(how + 1); /* SHUT_RECEIVE, SHUT_SEND, SHUT_BOTH */

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	/* In TIME_WAIT the program finds a closed socket, as in Linux. */
	if (socket->state == SOCKET_CONNECTED && socket->pcb && socket->pcb->state == TIME_WAIT)
		socket_done(socket, 0);
	switch (socket->state) {
	case SOCKET_LISTENING:
		if (!(directions & SHUT_RECEIVE)) {
			socket->shutdown |= directions;
			return 0;
		}
		socket_disconnect(socket);
		socket->phase = PHASE_UNCONNECTED;
		break;
	case SOCKET_SYN_SENT:
		socket_disconnect(socket);
		socket->phase = PHASE_UNCONNECTED;
		break;
	case SOCKET_CLOSED:
		socket->shutdown |= directions;
		socket_changed_quietly(socket, ENDS);
		return -ENOTCONN;
	default:
		if ((directions & SHUT_SEND) && !(socket->shutdown & SHUT_SEND) && socket->pcb)
			tcp_shutdown(socket->pcb, 0, 1);
		socket->shutdown |= directions;
		socket_changed_quietly(socket, ENDS);
		return 0;
	}
	socket_changed(socket, ENDS);
	return 0;
}
