/* SPDX-License-Identifier: BSD-3-Clause */
/* See adopted.h. */
#include "stack/tcp/adopted.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"

#include "stack/instance_parts.h"
#include "stack/socket_parts.h"

int adopted_begin(struct stack_socket *socket, const struct connection_state *state)
{
	struct adopted *adopted = &socket->adopted;
	const struct connection_path *path = &state->path;

	adopted->largest_segment = state->largest_segment;
	adopted->advertised_segment = state->advertised_segment;
	if (!socket->stack->host.borrows)
		return 0;
	if (!path->interface || !path->mtu)
		return -EINVAL;
	socket->is_borrowed = true;
	adopted->path = *path;
	adopted->ethernet_type =
		IP_IS_V6_VAL(socket->remote) ? PP_HTONS(ETHTYPE_IPV6) : PP_HTONS(ETHTYPE_IP);
	return 0;
}

/* ---- the peer's end ---- */

void adopted_fin_came(struct stack_socket *socket, uint32_t fin)
{
	const struct tcp_pcb *pcb = socket->pcb;

	/* A bare one is within a closed window, too. */
	if (!TCP_SEQ_BETWEEN(fin, pcb->rcv_nxt, pcb->rcv_nxt + pcb->rcv_wnd))
		return;
	socket->adopted.fin_known = true;
	socket->adopted.fin = fin;
	adopted_received(socket);
}

void adopted_reset_came(struct stack_socket *socket)
{
	socket->adopted.reset = true;
	adopted_return(socket, STACK_RETURN_RESET);
}

void adopted_received(struct stack_socket *socket)
{
	struct adopted *adopted = &socket->adopted;

	if (socket->pcb->rcv_nxt != adopted->fin)
		return;
	adopted->closed = true;
	adopted_return(socket, STACK_RETURN_CLOSED);
}

void adopted_name_scope(const struct stack_socket *socket, struct sockaddr_storage *name)
{
	struct sockaddr_in6 in6;

	memcpy(&in6, name, sizeof(in6));
	if (!socket->is_borrowed || in6.sin6_family != AF_INET6 ||
	    !IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr))
		return;
	in6.sin6_scope_id = socket->adopted.path.interface;
	memcpy(name, &in6, sizeof(in6));
}

void adopted_tell(const struct stack_socket *socket, struct connection_state *state)
{
	const struct adopted *adopted = &socket->adopted;

	adopted_name_scope(socket, &state->local);
	adopted_name_scope(socket, &state->remote);
	state->path = adopted->path;
	state->largest_segment =
		adopted->largest_segment ? adopted->largest_segment : socket->path.agreed_segment;
	state->advertised_segment = adopted->advertised_segment;
	state->remote_closed = adopted->closed;
	state->remote_reset = adopted->reset;
}

/* ---- why it should go back ---- */

/* And lwIP must not end it: it would be dead after so many probes. */
void adopted_check_idle(struct stack_socket *socket)
{
	struct tcp_pcb *pcb = socket->pcb;

	if (!ip_get_option(pcb, SOF_KEEPALIVE) ||
	    (u32_t)(tcp_ticks - pcb->tmr) <= pcb->keep_idle / TCP_SLOW_INTERVAL)
		return;
	pcb->keep_cnt = INT32_MAX / LWIP_MAX(pcb->keep_intvl, 1);
	/* Once a second is enough while it cannot go back. */
	if (adopted_reason(socket) == STACK_RETURN_IDLE &&
	    (uint16_t)(tcp_ticks - socket->adopted.idle_said) < 1000 / TCP_SLOW_INTERVAL)
		return;
	socket->adopted.idle_said = (uint16_t)tcp_ticks;
	adopted_return(socket, STACK_RETURN_IDLE);
}

void adopted_return(struct stack_socket *socket, enum stack_return reason)
{
	struct adopted *adopted = &socket->adopted;
	uint32_t before = atomic_load_explicit(&adopted->reason, memory_order_relaxed);

	/* Those that can wait take each other's place: one may not have been carried out. */
	if (!socket->is_borrowed ||
	    (reason <= STACK_RETURN_IDLE ? before > STACK_RETURN_IDLE : reason <= before))
		return;
	atomic_store_explicit(&adopted->reason, reason, memory_order_relaxed);
	if (adopted->is_returning)
		return;
	adopted->is_returning = true;
	LIST_INSERT_HEAD(&socket->stack->returning, socket, adopted.returning);
}

void adopted_forget(struct stack_socket *socket)
{
	if (!socket->is_borrowed || !socket->adopted.is_returning)
		return;
	socket->adopted.is_returning = false;
	LIST_REMOVE(socket, adopted.returning);
}

struct stack_socket *adopted_next(struct stack *stack)
{
	struct stack_socket *socket = LIST_FIRST(&stack->returning);

	if (socket)
		adopted_forget(socket);
	return socket;
}

enum stack_return adopted_reason(const struct stack_socket *socket)
{
	return (enum stack_return)atomic_load_explicit(&socket->adopted.reason,
						       memory_order_relaxed);
}

void adopted_losses(const struct stack_socket *socket, struct stack_losses *losses)
{
	const struct adopted *from = &socket->adopted;
	const struct info_counts *counts = &socket->info;

	*losses = (struct stack_losses){
		.recoveries = atomic_load_explicit(&from->recoveries, memory_order_relaxed),
		.timeouts = atomic_load_explicit(&from->timeouts, memory_order_relaxed),
		.retransmitted = atomic_load_explicit(&counts->retransmitted, memory_order_relaxed),
		.out_of_order = atomic_load_explicit(&counts->out_of_order, memory_order_relaxed),
	};
}
