/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listen(2) and accept(2), and what peers' first segments make of a listener.
 * Linux's rules: with a full queue SYNs and the handshakes' last ACKs are ignored, so that peers
 * try again; when too many are half-open, SYNs are answered by cookies that need no memory.
 */
#include <errno.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/ip/routing.h"
#include "stack/ip/sockaddr.h"
#include "stack/socket/ports.h"
#include "stack/socket/socket.h"
#include "stack/tcp/syn_cookie.h"

/* Linux's net.core.somaxconn */
#define BACKLOG_MAX 4096

void listen_drop_embryo(struct stack_socket *child)
{
	struct tcp_pcb *pcb = child->pcb;

	if (!accept_queue_is_embryo(child))
		return;
	pcb_detach(child);
	accept_queue_forget(child);
	tcp_abandon(pcb, 0);
}

/* A SYN has come for a listener. lwIP has made a PCB for it, and answers it when this returns. */
static err_t passive_open(u8_t id, struct tcp_pcb_listen *listening, struct tcp_pcb *pcb)
{
	struct stack_socket *listener = listening->ext_args[id].data;
	struct stack_socket *child;

	if (!listener || accept_queue_is_full(listener))
		return ERR_MEM; /* lwIP drops it without an answer */
	child = socket_new(listener->stack, listener->domain);
	if (!child)
		return ERR_MEM;
	child->v6only = listener->v6only;
	child->state = SOCKET_SYN_RECEIVED;
	child->phase = PHASE_CONNECTED;
	ip_addr_copy(child->local, pcb->local_ip);
	ip_addr_copy(child->remote, pcb->remote_ip);
	child->local_port = pcb->local_port;
	child->remote_port = pcb->remote_port;
	options_inherit(child, listener);
	accept_queue_add_embryo(listener, child);
	child->handshake.since = melin_clock_ns();
	pcb_attach(child, pcb);
	receive_window_start(child);
	pcb->rcv_wnd = LWIP_MIN(pcb->rcv_wnd, TCP_WND_MAX(pcb));
	pcb->rcv_ann_wnd = pcb->rcv_wnd;
	return ERR_OK;
}

/*
 * Whether more connections are half-open than the backlog could take once they are established; a
 * small backlog counts as tcp_max_syn_backlog, so that it does not need cookies at once.
 */
static bool too_many_embryos(const struct stack_socket *listener)
{
	const struct accept_queue *queue = &listener->accept_queue;

	return listener->stack->sysctl.syncookies > 1 ||
	       queue->embryo_count >=
		       LWIP_MAX(queue->backlog, listener->stack->sysctl.max_syn_backlog);
}

static void note_overflow(struct stack_socket *listener)
{
	struct accept_queue *queue = &listener->accept_queue;

	queue->overflow = melin_clock_ns();
	if (queue->overflow_noted || listener->stack->sysctl.syncookies > 1)
		return;
	queue->overflow_noted = true;
	instance_log(
		listener->stack, LOG_LEVEL_INFO,
		"port %u: more than %u connections are half-open, a flood of SYNs perhaps; more "
		"SYNs are %s",
		listener->local_port, queue->embryo_count,
		listener->stack->sysctl.syncookies ? "answered by cookies" : "dropped");
}

/* An ACK is looked at for a cookie only while one that has been sent can still come back. */
static bool cookies_are_out(const struct stack_socket *listener)
{
	uint64_t overflow = listener->accept_queue.overflow;

	return overflow && melin_clock_ns() - overflow <= SYN_COOKIE_AGE_MAX_NS;
}

bool listen_segment(struct tcp_pcb *listening, struct tcp_hdr *header, struct pbuf *payload)
{
	struct stack_socket *listener = socket_of(listening);
	u8_t flags = TCPH_FLAGS(header) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);

	if (!listener)
		return true; /* the listener has been closed in this very call into the stack */
	if (listener->stack->swallowing)
		return false; /* syn_cookie.c lets lwIP have the SYN that a cookie stands for */
	if (flags == (TCP_SYN | TCP_FIN))
		return true; /* ignored, as by Linux: no TCP sends it */
	if (flags == TCP_SYN && too_many_embryos(listener)) {
		note_overflow(listener);
		if (listener->stack->sysctl.syncookies && !accept_queue_is_full(listener))
			syn_cookie_answer(listener, header);
		return true;
	}
	if ((flags & ~TCP_FIN) != TCP_ACK || !cookies_are_out(listener))
		return false;
	/*
	 * Data whose cookie is wrong is ignored and not answered by a reset: the client may be
	 * honest and its ACK lost, and then it sends again what it has.
	 */
	if (!syn_cookie_is_good(header))
		return payload->tot_len > 0 || (flags & TCP_FIN);
	if (!accept_queue_is_full(listener))
		syn_cookie_redeem(listener->stack, header, payload);
	return true;
}

bool listen_take_cookie(struct stack_socket *child, struct tcp_hdr *header, struct pbuf *payload)
{
	struct stack_socket *listener = child->place.listener;

	if (!listener || !cookies_are_out(listener) || !syn_cookie_is_good(header))
		return false;
	if (accept_queue_is_full(listener))
		return true;
	listen_drop_embryo(child);
	syn_cookie_redeem(listener->stack, header, payload);
	return true;
}

static const struct tcp_ext_arg_callbacks listener_callbacks = { .passive_open = passive_open };

/* The handshake is done. */
static err_t established(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct stack_socket *child = arg;

	if (error != ERR_OK || !child || !child->place.listener)
		return ERR_VAL;
	pcb_established(child);
	/* TCP_INFO in Linux counts the peer's two segments; the SYN-ACK was the listener's. */
	child->info.segments_out = 0;
	child->info.segments_in = 2;
	/* Or lwIP would search all connections for it when the listener is closed. */
	pcb->listener = NULL;
	accept_queue_establish(child);
	return ERR_OK;
}

static void listen_address(const struct stack_socket *socket, ip_addr_t *address)
{
	if (socket->domain == AF_INET6 && !socket->v6only && IP_IS_V6(address) &&
	    ip_addr_isany(address))
		*address = *IP_ANY_TYPE;
}

static int start_listening(struct stack_socket *socket, const ip_addr_t *address, u16_t port)
{
	struct tcp_pcb *pcb;
	struct tcp_pcb *listening;

	if (!port)
		port = ports_choose_listener(socket, address);
	if (!port || ports_may_listen(socket, address, port))
		return -EADDRINUSE;
	pcb = tcp_new_ip_type(IP_GET_TYPE(address));
	if (!pcb)
		return -ENOBUFS;
	/* tcp_bind() would search all connections, and refuse what Linux allows. */
	ip_addr_copy(pcb->local_ip, *address);
	pcb->local_port = port;
	listening = tcp_listen_with_backlog(pcb, 0xff);
	if (!listening) {
		pcb->local_port = 0;
		tcp_abandon(pcb, 0);
		return -ENOBUFS;
	}
	listening->ext_args[EXTRA_SOCKET].data = socket;
	listening->ext_args[EXTRA_SOCKET].callbacks = &listener_callbacks;
	tcp_accept(listening, established);
	socket->pcb = listening;
	ip_addr_copy(socket->local, *address);
	socket->local_port = port;
	socket->state = SOCKET_LISTENING;
	socket->shutdown = 0;
	return 0;
}

static void set_backlog(struct stack_socket *listener, int backlog)
{
	listener->accept_queue.backlog =
		backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (unsigned)backlog;
}

static int begin(struct stack_socket *socket, const struct sockaddr *local, int backlog)
{
	ip_addr_t address;
	u16_t port;
	int status;

	if (socket->state == SOCKET_LISTENING) {
		set_backlog(socket, backlog);
		return 0;
	}
	if (socket->state != SOCKET_CLOSED || socket->phase != PHASE_UNCONNECTED)
		return -EINVAL;
	status = sockaddr_read(local, &address, &port);
	if (status)
		return status;
	if (!routing_may_bind(socket->stack, &address))
		return -EADDRNOTAVAIL;
	listen_address(socket, &address);
	/* It may have been a connection before. */
	accept_queue_start(socket);
	set_backlog(socket, backlog);
	return start_listening(socket, &address, port);
}

int listen_start(struct stack_socket *socket, const struct sockaddr *local, int backlog)
{
	int status = begin(socket, local, backlog);

	socket_changed(socket, 0);
	return status;
}

int listen_accept(struct stack_socket *listener, struct stack_socket **socket,
		  struct sockaddr_storage *peer)
{
	struct stack_socket *child;

	if (listener->state != SOCKET_LISTENING)
		return -EINVAL;
	child = accept_queue_take(listener);
	if (!child)
		return -EAGAIN;
	child->owned = true;
	socket_changed(child, 0);
	sockaddr_write(child->domain, &child->remote, child->remote_port, peer);
	*socket = child;
	return 0;
}

void listen_stop(struct stack_socket *listener)
{
	struct stack_socket *child;
	struct tcp_pcb *pcb;

	while (!TAILQ_EMPTY(&listener->accept_queue.embryos))
		listen_drop_embryo(TAILQ_FIRST(&listener->accept_queue.embryos));
	while ((child = accept_queue_take(listener)) != NULL) {
		pcb = child->pcb;
		pcb_detach(child);
		if (pcb && pcb->state != TIME_WAIT)
			tcp_abort(pcb);
		accept_queue_bury(child);
	}
	pcb = listener->pcb;
	listener->pcb = NULL;
	pcb->ext_args[EXTRA_SOCKET].data = NULL;
	pcb->ext_args[EXTRA_SOCKET].callbacks = NULL;
	tcp_close(pcb);
	listener->state = SOCKET_CLOSED;
	/* It may be a connection next. */
	memset(&listener->adopted, 0, sizeof(listener->adopted));
}
