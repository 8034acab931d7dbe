/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connect(2), as Linux's __inet_stream_connect() with O_NONBLOCK. Not for what happens to the
 * connection afterwards: pcb.c.
 */
#include <errno.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/ip/routing.h"
#include "stack/ip/sockaddr.h"
#include "stack/socket/ports.h"
#include "stack/socket/socket.h"

static err_t connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct stack_socket *socket = arg;

	(void)error;
	if (!socket)
		return ERR_OK;
	pcb_established(socket);
	socket->handshake.called = true;
	pcb->rttest = 0; /* lwIP's first sample would last until the first data */
	socket->stack->counters.connects++;
	socket_changed(socket, EPOLLOUT | EPOLLWRNORM);
	return ERR_OK;
}

/*
 * The attempt has failed: returns its error, as Linux's sock_error(), and makes the socket as new,
 * so that connect() may be called again.
 */
static int fail_attempt(struct stack_socket *socket)
{
	int error = socket->error ? socket->error : ECONNABORTED;

	socket->error = 0;
	socket->phase = PHASE_UNCONNECTED;
	socket_disconnect(socket);
	socket_changed(socket, 0);
	return -error;
}

static int from_lwip_error(err_t error)
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

/*
 * Sets the local address and port: those that name says, and for what it leaves open, chosen ones.
 */
static int choose_local(struct stack_socket *socket, const struct sockaddr *name)
{
	ip_addr_t bound;
	u16_t port = 0;
	int status;

	ip_addr_set_any(IP_IS_V6_VAL(socket->remote), &bound);
	if (name)
		status = sockaddr_read(name, &bound, &port);
	else
		status = 0;
	if (status)
		return status;
	status = routing_source(socket->stack, &socket->remote, &socket->local);
	if (status)
		return status;
	if (!ip_addr_isany(&bound)) {
		if (!routing_is_local(socket->stack, &bound))
			return -EADDRNOTAVAIL;
		if (IP_IS_V6(&bound) != IP_IS_V6_VAL(socket->remote))
			return -EINVAL;
		ip_addr_copy(socket->local, bound);
	}
	if (!port)
		port = ports_choose(&socket->local, &socket->remote, socket->remote_port);
	else if (melin_index_find(&socket->local, port, &socket->remote, socket->remote_port))
		return -EADDRNOTAVAIL; /* as Linux when the four-tuple exists */
	if (!port)
		return -EADDRNOTAVAIL;
	socket->local_port = port;
	return 0;
}

static bool is_broadcast(const struct stack_socket *socket)
{
	const struct netif *netif = ip_route(&socket->local, &socket->remote);

	if (!netif || !IP_IS_V4_VAL(socket->remote))
		return false;
	/* A network of two addresses has no broadcast address: RFC 3021. */
	if (lwip_ntohl(netif_ip4_netmask(netif)->addr) >= 0xfffffffe)
		return ip_2_ip4(&socket->remote)->addr == IPADDR_BROADCAST;
	return ip4_addr_isbroadcast(ip_2_ip4(&socket->remote), netif);
}

static int begin(struct stack_socket *socket, const struct sockaddr *local,
		 const struct sockaddr *remote)
{
	struct tcp_pcb *pcb;
	err_t error;
	int status = sockaddr_read(remote, &socket->remote, &socket->remote_port);

	if (status)
		return status;
	if (socket->domain == AF_INET && remote->sa_family != AF_INET)
		return -EAFNOSUPPORT;
	if (socket->v6only && IP_IS_V4_VAL(socket->remote))
		return -ENETUNREACH;
	if (ip_addr_isany(&socket->remote)) { /* Linux takes the wildcard for loopback */
		if (IP_IS_V6_VAL(socket->remote))
			ip_2_ip6(&socket->remote)->addr[3] = PP_HTONL(1);
		else
			ip_addr_set_ip4_u32(&socket->remote, PP_HTONL(IPADDR_LOOPBACK));
	}
	if (ip_addr_ismulticast(&socket->remote))
		return -ENETUNREACH;
	status = choose_local(socket, local);
	if (status)
		return status;
	if (is_broadcast(socket))
		return -ENETUNREACH;
	pcb = tcp_new_ip_type(IP_GET_TYPE(&socket->remote));
	if (!pcb)
		return -ENOBUFS;
	ip_addr_copy(pcb->local_ip, socket->local);
	pcb->local_port = socket->local_port;
	socket->error = 0;
	socket->soft_error = 0;
	socket->handshake.crossed = false;
	socket->handshake.since = melin_clock_ns();
	socket->state = SOCKET_SYN_SENT;
	pcb_attach(socket, pcb);
	error = tcp_connect(pcb, &socket->remote, socket->remote_port, connected);
	if (error != ERR_OK) {
		pcb_detach(socket);
		tcp_abandon(pcb, 0);
		socket->state = SOCKET_CLOSED;
		return from_lwip_error(error);
	}
	socket->shutdown = 0;
	socket->phase = PHASE_CONNECTING;
	return -EINPROGRESS;
}

/* Whether either side may still have something to say. */
static bool is_under_way(const struct stack_socket *socket)
{
	const struct tcp_pcb *pcb = socket->pcb;

	if (socket->state == SOCKET_SYN_SENT)
		return true;
	if (socket->state != SOCKET_CONNECTED || !pcb)
		return false;
	if (pcb->state == CLOSING || pcb->state == LAST_ACK)
		return pcb->unsent != NULL;
	return pcb->state != TIME_WAIT && pcb->state != CLOSED;
}

/*
 * connect(2) to AF_UNSPEC, as Linux's tcp_disconnect(): the peer gets a reset, and the next reader
 * ECONNRESET. Of a connection that has ended an error that nobody was told of yet remains.
 */
static int dissolve(struct stack_socket *socket)
{
	const int error = is_under_way(socket) ? ECONNRESET : socket->error;

	socket_disconnect(socket);
	socket->phase = PHASE_UNCONNECTED;
	socket->error = error;
	ip_addr_set_zero(&socket->local); /* but the port is kept */
	ip_addr_set_zero(&socket->remote);
	socket->remote_port = 0;
	socket_changed(socket, EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP);
	return 0;
}

static int advance(struct stack_socket *socket, const struct sockaddr *local,
		   const struct sockaddr *remote)
{
	if (remote && remote->sa_family == AF_UNSPEC)
		return dissolve(socket);
	switch (socket->phase) {
	case PHASE_CONNECTED:
		return -EISCONN;
	case PHASE_CONNECTING:
		if (socket->state == SOCKET_SYN_SENT)
			return -EALREADY;
		if (socket->state == SOCKET_CLOSED)
			return fail_attempt(socket);
		socket->phase = PHASE_CONNECTED;
		return 0;
	case PHASE_UNCONNECTED:
		if (socket->state != SOCKET_CLOSED)
			return -EISCONN; /* listening */
		/* Linux's answer to a connect() that waits when another thread dissolves it. */
		if (!remote)
			return -EPIPE;
		return begin(socket, local, remote);
	default:
		return -EINVAL;
	}
}

int connect_advance(struct stack_socket *socket, const struct sockaddr *local,
		    const struct sockaddr *remote)
{
	int status = advance(socket, local, remote);

	socket_changed(socket, 0);
	return status;
}
