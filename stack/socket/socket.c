/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of a socket, its end, its names: socket.h. Not for what happens to its PCB: pcb.c. */
#include "stack/socket/socket.h"

#include <errno.h>
#include <stdlib.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/ip/sockaddr.h"

struct stack_socket *socket_new(struct stack *stack, int domain)
{
	struct stack_socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	socket->stack = stack;
	socket->domain = domain;
	options_default(socket);
	LIST_INSERT_HEAD(&stack->sockets, socket, every);
	readiness_start(socket);
	return socket;
}

void socket_free(struct stack_socket *socket)
{
	readiness_end(socket);
	adopted_forget(socket);
	LIST_REMOVE(socket, every);
	receive_queue_clear(&socket->received);
	free(socket);
}

void socket_done(struct stack_socket *socket, int error)
{
	if (error)
		socket->error = error;
	socket->state = SOCKET_CLOSED;
	socket->shutdown = SHUT_BOTH;
	(error ? socket_changed : socket_changed_quietly)(
		socket, READY_INPUT | READY_OUTPUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
}

int socket_exchange_error(struct stack_socket *socket, int error)
{
	int before = socket->error;

	socket->error = error;
	socket_changed_quietly(socket, EPOLLERR);
	return before;
}

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

int socket_address(const struct stack_socket *socket, bool peer, struct sockaddr_storage *name)
{
	if (peer &&
	    (socket->state != SOCKET_CONNECTED || (socket->pcb && socket->pcb->state == TIME_WAIT)))
		return -ENOTCONN;
	if (peer)
		sockaddr_write(socket->domain, &socket->remote, socket->remote_port, name);
	else
		sockaddr_write(socket->domain, &socket->local, socket->local_port, name);
	return 0;
}
