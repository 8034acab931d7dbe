/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life, readiness and names of a socket, and what happens to its PCB: lwIP's callbacks are here,
 * and they only note what has happened. Not for the calls that move data or connect.
 */
#include "stack/socket/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/acknowledge.h"
#include "stack/instance/clock.h"
#include "stack/instance/instance.h"
#include "stack/ip/network.h"
#include "stack/ip/path.h"
#include "stack/instance/pressure.h"
#include "stack/tcp/segment.h"

#define SHUT_RECEIVE 1
#define SHUT_SEND    2
#define SHUT_BOTH    3

#define INPUT  (EPOLLIN | EPOLLRDNORM)
#define OUTPUT (EPOLLOUT | EPOLLWRNORM)

static uint32_t compute_readiness(const struct stack_socket *socket);

struct stack_socket *socket_new(struct stack *stack, int domain)
{
	struct stack_socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	socket->stack = stack;
	socket->domain = domain;
	options_default(socket);
	socket->next = stack->sockets;
	if (socket->next)
		socket->next->previous = socket;
	stack->sockets = socket;
	socket->readiness.computed = compute_readiness(socket); /* how it starts is no event */
	atomic_init(&socket->readiness.ready, socket->readiness.computed);
	atomic_init(&socket->readiness.urgent_bytes, SIZE_MAX);
	return socket;
}

/* Its events are not reported any more. */
static void forget_change(struct stack_socket *socket)
{
	struct stack *stack = socket->stack;
	struct stack_socket *previous = NULL;

	for (struct stack_socket *each = stack->changed; each != socket;
	     each = each->readiness.next_changed)
		previous = each;
	if (previous)
		previous->readiness.next_changed = socket->readiness.next_changed;
	else
		stack->changed = socket->readiness.next_changed;
	if (stack->changed_last == socket)
		stack->changed_last = previous;
	socket->readiness.is_changed = false;
}

void socket_free(struct stack_socket *socket)
{
	struct stack *stack = socket->stack;

	if (socket->readiness.is_changed)
		forget_change(socket);
	adopted_forget(socket);
	if (socket->previous)
		socket->previous->next = socket->next;
	else
		stack->sockets = socket->next;
	if (socket->next)
		socket->next->previous = socket->previous;
	receive_queue_clear(&socket->received);
	free(socket);
}

/* ---- readiness ---- */

static bool input_ready(const struct stack_socket *socket)
{
	size_t target =
		(size_t)(socket->options.receive_low_water > 1 ? socket->options.receive_low_water
							       : 1);

	if (target > socket->options.receive_buffer / 2)
		target = socket->options.receive_buffer / 2;
	if (urgent_is_next(socket))
		target++;
	return socket->received.bytes >= target;
}

/* As Linux's tcp_poll() and, for listeners, inet_csk_listen_poll(). */
static uint32_t compute_readiness(const struct stack_socket *socket)
{
	uint32_t ready = 0;

	if (socket->state == SOCKET_LISTENING)
		return socket->accept_queue.established.head ? INPUT : 0;
	if (socket->state == SOCKET_GIVEN)
		return INPUT | OUTPUT; /* who waits comes, and is told */
	if (socket->shutdown == SHUT_BOTH || socket->state == SOCKET_CLOSED)
		ready |= EPOLLHUP;
	if (socket->shutdown & SHUT_RECEIVE)
		ready |= INPUT | EPOLLRDHUP;
	if (socket->state != SOCKET_SYN_SENT && socket->state != SOCKET_SYN_RECEIVED) {
		if (input_ready(socket))
			ready |= INPUT;
		if ((socket->shutdown & SHUT_SEND) || send_has_room(socket))
			ready |= OUTPUT;
		if (socket->urgent.state == URGENT_THERE)
			ready |= EPOLLPRI;
	}
	if (socket->error)
		ready |= EPOLLERR;
	return ready;
}

/* Behind those before it: epoll_wait(2) reports in the order of arrival. */
static void append_change(struct stack_socket *socket)
{
	struct stack *stack = socket->stack;

	socket->readiness.is_changed = true;
	socket->readiness.next_changed = NULL;
	if (stack->changed)
		stack->changed_last->readiness.next_changed = socket;
	else
		stack->changed = socket;
	stack->changed_last = socket;
}

void socket_changed(struct stack_socket *socket, uint32_t events)
{
	struct readiness *own = &socket->readiness;
	uint32_t seen = atomic_load_explicit(&own->ready, memory_order_relaxed);
	uint32_t ready = compute_readiness(socket);

	atomic_store_explicit(&own->readable_bytes, socket->received.bytes, memory_order_relaxed);
	atomic_store_explicit(&own->unsent_bytes, send_queued(socket), memory_order_relaxed);
	atomic_store_explicit(&own->urgent_bytes, urgent_distance(socket), memory_order_relaxed);
	atomic_store_explicit(&own->ready, seen & ready, memory_order_release);
	events = (events & ready) | (ready & ~own->computed);
	own->computed = ready;
	if (socket->urgent.announced) {
		socket->urgent.announced = false;
		events |= STACK_EVENT_URGENT;
	}
	if (!events)
		return;
	own->events |= events;
	if (!own->is_changed)
		append_change(socket);
}

/*
 * Data has come for a socket that is shut down both ways: Linux's tcp_rcv_state_process() answers
 * with a reset, and the program learns of it.
 */
static void reset_for_data(struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;

	socket->data_refused = false;
	if (!pcb)
		return;
	socket_detach(socket);
	tcp_abandon(pcb, 1);
	socket_done(socket, ECONNRESET);
}

/* Behind the data that has come with it. */
static void append_returning(struct stack *stack)
{
	struct stack_socket *socket;

	while ((socket = adopted_next(stack))) {
		socket->readiness.events |= STACK_EVENT_RETURN;
		if (!socket->readiness.is_changed)
			append_change(socket);
	}
}

void socket_report(struct stack *stack)
{
	append_returning(stack);
	while (stack->dead) {
		struct stack_socket *socket = stack->dead;

		stack->dead = socket->place.next;
		socket_free(socket);
	}
	while (stack->changed) {
		struct stack_socket *socket = stack->changed;
		struct readiness *own = &socket->readiness;
		uint32_t events;

		if (socket->data_refused)
			reset_for_data(socket);
		events = own->events;
		stack->changed = own->next_changed;
		own->is_changed = false;
		own->events = 0;
		atomic_store_explicit(&own->ready, own->computed, memory_order_release);
		if (socket->user && stack->callbacks.event)
			stack->callbacks.event(socket->user, events);
	}
}

uint32_t readiness_now(const struct stack_socket *socket)
{
	return atomic_load_explicit(&socket->readiness.ready, memory_order_acquire);
}

size_t readiness_readable(const struct stack_socket *socket)
{
	return atomic_load_explicit(&socket->readiness.readable_bytes, memory_order_relaxed);
}

size_t readiness_unsent(const struct stack_socket *socket)
{
	return atomic_load_explicit(&socket->readiness.unsent_bytes, memory_order_relaxed);
}

size_t readiness_urgent(const struct stack_socket *socket)
{
	return atomic_load_explicit(&socket->readiness.urgent_bytes, memory_order_relaxed);
}

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
		socket_changed(socket, INPUT | EPOLLPRI);
	} else {
		acknowledge_fin(socket);
		socket->fin_received = true;
		socket->shutdown |= SHUT_RECEIVE;
		socket_changed(socket, INPUT | EPOLLRDHUP | EPOLLHUP);
	}
	if (socket->place.deferred)
		listen_data_came(socket);
	return ERR_OK;
}

static err_t sent(void *arg, struct tcp_pcb *pcb, u16_t size)
{
	struct stack_socket *socket = arg;

	socket->info.bytes_acked += size;
	info_note_acknowledged(socket, pcb);
	urgent_acknowledged(socket, pcb);
	if (socket->recovery.pcb)
		recovery_override(&socket->recovery);
	if (socket->output.small_sent && TCP_SEQ_LEQ(socket->output.small_end, pcb->lastack))
		socket->output.small_sent = false; /* or it would be ahead again after 2 GB */
	/* Linux's tcp_sndbuf_expand(): a buffer of less than two windows would limit the speed. */
	if (!socket->options.send_buffer_set && pcb->cwnd > socket->send_buffer.credit / 2)
		send_set_credit(socket, pcb->cwnd * 2);
	socket_changed(socket, 0);
	return ERR_OK;
}

/* The PCB is gone or going: this says why, destroyed() says that it is. */
static void failed(void *arg, err_t error)
{
	struct stack_socket *socket = arg;
	enum socket_state state = socket->state;
	bool close_wait = socket->fin_received && !(socket->shutdown & SHUT_SEND);

	if (socket->released || listen_is_embryo(socket)) /* nobody knows of it */
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

/* The socket and its PCB part: nothing that the socket has noted may lead to the PCB any more. */
static void forget_pcb(struct stack_socket *socket)
{
	segment_forget_out_of_order(socket);
	acknowledge_forget(socket);
	recovery_stop(&socket->recovery);
	gap_stop(socket);
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
	if (socket->place.listener && listen_forget_child(socket))
		return;
	/* Without a word from failed() it has ended in good order, through TIME_WAIT. */
	if (socket->state == SOCKET_CONNECTED)
		socket_done(socket, 0);
}

static const struct tcp_ext_arg_callbacks socket_callbacks = { .destroy = destroyed };

void socket_done(struct stack_socket *socket, int error)
{
	if (error)
		socket->error = error;
	socket->state = SOCKET_CLOSED;
	socket->shutdown = SHUT_BOTH;
	socket_changed(socket, INPUT | OUTPUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
}

void socket_attach(struct stack_socket *socket, struct tcp_pcb *pcb)
{
	socket->pcb = pcb;
	pcb->ext_args[EXTRA_SOCKET].data = socket;
	pcb->ext_args[EXTRA_SOCKET].callbacks = &socket_callbacks;
	tcp_arg(pcb, socket);
	tcp_recv(pcb, received);
	tcp_sent(pcb, sent);
	tcp_err(pcb, failed);
	tcp_nagle_disable(pcb); /* output.c has Linux's */
	/* 2.1.3 has 3 s built in */
	pcb->rto = LWIP_TCP_RTO_TIME / TCP_SLOW_INTERVAL;
	pcb->sv = LWIP_TCP_RTO_TIME / TCP_SLOW_INTERVAL;
	pcb->ssthresh = 0x7fffffff; /* RFC 5681: arbitrarily high */
	options_apply(socket);
}

void socket_detach(struct stack_socket *socket)
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

void socket_established(struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;

	socket->state = SOCKET_CONNECTED;
	socket->info.established = melin_clock_ns() / 1000000;
	socket->retry.since = 0;
	socket->soft_error = 0;
	if (socket->handshake.since)
		socket->handshake.round_trip_us =
			(uint32_t)((melin_clock_ns() - socket->handshake.since) / 1000 + 1);
	if (socket->options.maximum_segment && pcb->mss > socket->options.maximum_segment)
		pcb->mss = socket->options.maximum_segment;
	/*
	 * lwIP bounds segments by half of the largest window, while that is nothing by nothing; so
	 * its first small one would find segments in the queue that are too long.
	 */
	if (pcb->snd_wnd_max < 2)
		pcb->snd_wnd_max = 2 * pcb->mss;
	path_begin(socket);
	/*
	 * lwIP sets its largest window when it sees window scaling; nothing has been received yet.
	 */
	pcb->rcv_wnd = LWIP_MIN(pcb->rcv_wnd, TCP_WND_MAX(pcb));
	pcb->rcv_ann_wnd = LWIP_MIN(pcb->rcv_ann_wnd, pcb->rcv_wnd);
	gap_start(socket);
	recovery_start(&socket->recovery, pcb, socket->handshake.round_trip_us, pcb->nrtx > 0);
}

/* TCP_WND_MAX() of lwip_changes.h: half of SO_RCVBUF's doubled value is for data, as in Linux. */
uint32_t melin_receive_window(const struct tcp_pcb *pcb);
uint32_t melin_receive_window(const struct tcp_pcb *pcb)
{
	const struct stack_socket *socket = socket_of(pcb);
	uint32_t window =
		socket ? LWIP_MIN(socket->options.receive_buffer / 2, socket->options.window_clamp)
		       : TCP_WND;

	if (socket && socket->window.pressure_most)
		window = LWIP_MIN(window, socket->window.pressure_most);
	if (!(pcb->flags & TF_WND_SCALE) && window > 0xffff)
		window = 0xffff;
	return window < TCP_WND ? window : TCP_WND;
}

int socket_from_error(err_t error)
{
	switch (error) {
	case ERR_OK:
		return 0;
	case ERR_MEM:
	case ERR_BUF:
		return -ENOBUFS;
	case ERR_RTE:
		return -ENETUNREACH;
	case ERR_USE:
		return -EADDRINUSE;
	default:
		return -EINVAL;
	}
}

/* ---- the table's functions ---- */

int socket_create(struct stack *stack, int domain, bool v6only, void *user,
		  struct stack_socket **socket)
{
	if (domain != AF_INET && domain != AF_INET6)
		return -EAFNOSUPPORT;
	if (stack->host.borrows)
		return -EOPNOTSUPP;
	*socket = socket_new(stack, domain);
	if (!*socket)
		return -ENOMEM;
	(*socket)->v6only = v6only;
	(*socket)->user = user;
	(*socket)->owned = true;
	return 0;
}

/*
 * lwIP answers tcp_close() with RST when its window says that the program has not read everything.
 * Ours has, or the RST has been decided on already: say so.
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
	if (pressure_now() == PRESSURE_LIMIT && send_queued(socket) > PRESSURE_GUARANTEED)
		abort = true;
	if (!abort)
		recovery_hand_over(socket);
	socket_detach(socket);
	if (pcb->state == TIME_WAIT) /* both sides have closed already; it goes by itself */
		return;
	if (abort && pcb->state != CLOSED) {
		tcp_clear_flags(pcb, TF_ACK_DELAY); /* the RST says it all */
		tcp_abort(pcb);
		return;
	}
	return_credit(pcb);
	/* lwIP has no use for it any more, and asks for it in FIN_WAIT_2: lwip_changes.h. */
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
		socket_detach(socket);
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

	socket_detach(socket);
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
	else if (socket->adopted.is_borrowed)
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

int socket_shut_down(struct stack_socket *socket, int how)
{
	uint8_t directions = (uint8_t)(how + 1); /* SHUT_RECEIVE, SHUT_SEND, SHUT_BOTH */

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	/* In TIME_WAIT Linux's socket is closed already, and so is ours for the program. */
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
		socket_changed(socket, INPUT | OUTPUT | EPOLLRDHUP | EPOLLHUP);
		return -ENOTCONN;
	default:
		if ((directions & SHUT_SEND) && !(socket->shutdown & SHUT_SEND) && socket->pcb)
			tcp_shutdown(socket->pcb, 0, 1);
		socket->shutdown |= directions;
	}
	socket_changed(socket, INPUT | OUTPUT | EPOLLRDHUP | EPOLLHUP);
	return 0;
}

int socket_address(const struct stack_socket *socket, bool peer, struct sockaddr_storage *name)
{
	if (peer &&
	    (socket->state != SOCKET_CONNECTED || (socket->pcb && socket->pcb->state == TIME_WAIT)))
		return -ENOTCONN;
	if (peer)
		network_to_sockaddr(socket->domain, &socket->remote, socket->remote_port, name);
	else
		network_to_sockaddr(socket->domain, &socket->local, socket->local_port, name);
	return 0;
}
