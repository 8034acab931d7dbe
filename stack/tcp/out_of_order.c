/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments that wait for earlier ones: out_of_order.h. */
#include "stack/tcp/out_of_order.h"

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket_parts.h"

/*
 * lwIP's out-of-order queue is a list for each connection, with a bound for each; this one is for
 * their sum. Each segment pins a receive buffer of the device. The sum is of estimates: a
 * connection's is set right when its queue is found empty, and after each so many segments.
 */
#define OUT_OF_ORDER_MAX 1024
#define RECOUNT		 64

static unsigned count(const struct tcp_seg *segment)
{
	unsigned segments = 0;

	for (; segment; segment = segment->next)
		segments++;
	return segments;
}

void out_of_order_forget(struct stack_socket *socket)
{
	socket->stack->out_of_order -= socket->segments.out_of_order;
	socket->segments.out_of_order = 0;
}

void out_of_order_note(struct stack_socket *socket)
{
	adopted_count(&socket->info.out_of_order);
}

bool out_of_order_may_wait(struct stack_socket *socket, const struct tcp_pcb *pcb)
{
	if (!socket)
		return false; /* nobody will read it */
	if (!pcb->ooseq || socket->segments.out_of_order % RECOUNT == RECOUNT - 1) {
		out_of_order_forget(socket);
		socket->segments.out_of_order = count(pcb->ooseq);
		socket->stack->out_of_order += socket->segments.out_of_order;
	}
	if (socket->stack->out_of_order >= OUT_OF_ORDER_MAX)
		return false;
	socket->segments.out_of_order++;
	out_of_order_note(socket);
	socket->stack->out_of_order++;
	return true;
}
