/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a socket has to do with its PCB, which is lwIP's half of a connection: pcb.h. lwIP's
 * callbacks are here, and they only note what has happened.
 */
#include "stack/socket/pcb.h"

#include <errno.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket/socket.h"
#include "stack/tcp/out_of_order.h"

/* ---- what lwIP tells ---- */

static err_t received(void *arg, struct tcp_pcb *pcb, struct pbuf *data, err_t error)
{
	struct stack_socket *socket = arg;

	(void)pcb;
	(void)error;
	if (data) {
		acknowledge_data(socket);
		socket->info.bytes_received += data->tot_len;
		receive_queue_add(socket, data);
		urgent_moved(socket);
		if (adopted_waits_for_end(&socket->adopted))
			adopted_received(socket);
		socket_changed(socket, READY_INPUT | EPOLLPRI);
	} else {
		acknowledge_fin(socket);
		socket->fin_received = true;
		socket->shutdown |= SHUT_RECEIVE;
		socket_changed(socket, READY_INPUT | EPOLLRDHUP | EPOLLHUP);
	}
	if (socket->deferred)
		accept_queue_data_came(socket);
	return ERR_OK;
}

static err_t sent(void *arg, struct tcp_pcb *pcb, u16_t size)
{
	(void)size; /* of whole segments */
	output_acknowledged(arg, pcb);
	return ERR_OK;
}

/* lwIP says why the connection ends. That the PCB is gone comes by destroyed(). */
static void failed(void *arg, err_t error)
{
	struct stack_socket *socket = arg;
	enum socket_state state = socket->state;
	bool close_wait = socket->fin_received && !(socket->shutdown & SHUT_SEND);

	if (socket->released || accept_queue_is_embryo(socket)) /* no program has seen it */
		return;
	if (error == ERR_RST) {
		if (state == SOCKET_SYN_SENT)
			socket_done(socket, ECONNREFUSED);
		else
			socket_done(socket, close_wait ? EPIPE : ECONNRESET);
	} else if (error == ERR_ABRT) {
		socket_done(socket, socket->soft_error ? socket->soft_error : ETIMEDOUT);
	} else { /* ERR_CLSD: both sides have closed, all is acknowledged */
		socket_done(socket, 0);
	}
}

/* Undoes all by which the socket, or a list that it is in, would lead to the PCB. */
static void forget_pcb(struct stack_socket *socket)
{
	out_of_order_forget(socket);
	acknowledge_forget(socket);
	recovery_stop(&socket->recovery);
	gap_stop(socket);
	if (socket->pcb)
		info_note_end(socket);
	socket->pcb = NULL;
	socket->output.unsent_tail = NULL;
	socket->output.held_since = 0;
}

static void destroyed(u8_t id, void *data)
{
	struct stack_socket *socket = data;

	(void)id;
	if (!socket)
		return;
	forget_pcb(socket);
	if (socket->place.listener && accept_queue_forget(socket))
		return;
	/* failed() has not been called: the connection ended in good order, through TIME_WAIT. */
	if (socket->state == SOCKET_CONNECTED)
		socket_done(socket, 0);
}

static const struct tcp_ext_arg_callbacks socket_callbacks = { .destroy = destroyed };

/* ---- what it is told ---- */

void pcb_attach(struct stack_socket *socket, struct tcp_pcb *pcb)
{
	socket->pcb = pcb;
	info_note_begin(socket);
	pcb->ext_args[EXTRA_SOCKET].data = socket;
	pcb->ext_args[EXTRA_SOCKET].callbacks = &socket_callbacks;
	tcp_arg(pcb, socket);
	tcp_recv(pcb, received);
	tcp_sent(pcb, sent);
	tcp_err(pcb, failed);
	tcp_nagle_disable(pcb); /* output.c has Linux's */
	/* lwIP 2.1.3 begins with 3 s, whatever LWIP_TCP_RTO_TIME says. */
	pcb->rto = LWIP_TCP_RTO_TIME / TCP_SLOW_INTERVAL;
	pcb->sv = LWIP_TCP_RTO_TIME / TCP_SLOW_INTERVAL;
	pcb->ssthresh = 0x7fffffff; /* RFC 5681: arbitrarily high */
	options_apply(socket);
}

void pcb_detach(struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;

	if (!pcb)
		return;
	forget_pcb(socket);
	pcb->ext_args[EXTRA_SOCKET].data = NULL;
	pcb->ext_args[EXTRA_SOCKET].callbacks = NULL;
	tcp_arg(pcb, NULL);
	if (pcb->state == LISTEN)
		return;
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
}

void pcb_established(struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;

	socket->state = SOCKET_CONNECTED;
	socket->info.established = melin_clock_ns() / 1000000;
	socket->retry.since = 0;
	socket->soft_error = 0;
	socket->info.acked_to = pcb->snd_nxt; /* a SYN-ACK's byte is not counted */
	if (socket->handshake.since)
		socket->handshake.round_trip_us =
			(uint32_t)((melin_clock_ns() - socket->handshake.since) / 1000 + 1);
	if (socket->options.maximum_segment && pcb->mss > socket->options.maximum_segment)
		pcb->mss = socket->options.maximum_segment;
	/*
	 * lwIP cuts what is written into segments of at most half of the largest window that it has
	 * seen, but does not when it has seen none yet; the segments that are queued then would be
	 * too long for it once a small window comes.
	 */
	if (pcb->snd_wnd_max < 2)
		pcb->snd_wnd_max = 2 * pcb->mss;
	path_begin(socket);
	/*
	 * When lwIP sees that both ends scale windows it offers its largest one, whatever this
	 * socket's buffer. No data has come yet, so it can still be made smaller.
	 */
	pcb->rcv_wnd = LWIP_MIN(pcb->rcv_wnd, TCP_WND_MAX(pcb));
	pcb->rcv_ann_wnd = LWIP_MIN(pcb->rcv_ann_wnd, pcb->rcv_wnd);
	gap_start(socket);
	recovery_start(&socket->recovery, pcb, socket->handshake.round_trip_us, pcb->nrtx > 0);
}
