/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same requests over lwIP's raw API: callbacks on PCBs, no sockets, no queues of ours. What it
 * costs is the ceiling of the socket layer above it. Everything else (index, timers, filter) is
 * melin's.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "bench/stack/end.h"
#include "stack/lifecycle/background.h"
#include "stack/lifecycle/instance.h"
#include "stack/socket/socket.h"

#define CONNECTIONS_MAX 200000
#define PORT_FIRST	1024
#define BACKLOG		255 /* lwIP's most */
#define PORTS_EACH                                                                                 \
	25000 /* connections to one port of the server: fewer than there are ephemeral ones */

static struct tcp_pcb *connections[CONNECTIONS_MAX];
static uint64_t answers;
static unsigned established;

/* The server: sends back what it has received. */
static err_t echo(void *arg, struct tcp_pcb *pcb, struct pbuf *data, err_t error)
{
	(void)arg;
	(void)error;
	if (!data)
		return ERR_OK;
	tcp_recved(pcb, data->tot_len);
	tcp_write(pcb, data->payload, data->len, TCP_WRITE_FLAG_COPY);
	tcp_output(pcb);
	pbuf_free(data);
	return ERR_OK;
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t error)
{
	(void)arg;
	(void)error;
	pcb->listener = NULL;
	tcp_nagle_disable(pcb);
	tcp_recv(pcb, echo);
	return ERR_OK;
}

static void raw_listen(struct stack *stack, unsigned port)
{
	struct stack_socket *socket;
	struct tcp_pcb *pcb;

	instance_enter(stack);
	pcb = tcp_new();
	pcb->local_port = (u16_t)port;
	pcb = tcp_listen_with_backlog(pcb, BACKLOG);
	tcp_accept(pcb, accepted);
	/* A listener without a socket is one that is being closed: the stack drops its SYNs. */
	socket = socket_new(stack, AF_INET);
	socket->accept_queue.backlog = BACKLOG;
	pcb->ext_args[EXTRA_SOCKET].data = socket;
	instance_leave(stack);
}

/* The client. */
static err_t answered(void *arg, struct tcp_pcb *pcb, struct pbuf *data, err_t error)
{
	(void)arg;
	(void)error;
	if (!data)
		return ERR_OK;
	answers++;
	tcp_recved(pcb, data->tot_len);
	pbuf_free(data);
	return ERR_OK;
}

static err_t connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
	(void)arg;
	(void)error;
	tcp_nagle_disable(pcb);
	tcp_recv(pcb, answered);
	established++;
	return ERR_OK;
}

static void raw_connect(struct stack *stack, unsigned index, const char *local, const char *remote,
			unsigned port)
{
	struct tcp_pcb *pcb;
	ip_addr_t to;

	if (index >= CONNECTIONS_MAX)
		abort();
	instance_enter(stack);
	pcb = tcp_new();
	ipaddr_aton(local, &pcb->local_ip);
	pcb->local_port = (u16_t)(PORT_FIRST + index % PORTS_EACH);
	ipaddr_aton(remote, &to);
	connections[index] = pcb;
	tcp_connect(pcb, &to, (u16_t)(port + index / PORTS_EACH), connected);
	instance_leave(stack);
}

static void raw_ask(struct stack *stack, unsigned index, unsigned size)
{
	static const char question[1460];

	instance_enter(stack);
	tcp_write(connections[index], question, (u16_t)size, TCP_WRITE_FLAG_COPY);
	tcp_output(connections[index]);
	instance_leave(stack);
}

static uint64_t raw_answers(void)
{
	return answers;
}

static unsigned raw_established(void)
{
	return established;
}

extern const struct end bench_end;
__attribute__((visibility("default"))) const struct end bench_end = {
	.operations = &melin_stack_operations,
	.link = &memory_link,
	.prepare = memory_queue_prepare,
	.alone = background_stop,
	.raw_listen = raw_listen,
	.raw_connect = raw_connect,
	.raw_ask = raw_ask,
	.raw_answers = raw_answers,
	.raw_established = raw_established,
};
