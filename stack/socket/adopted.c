/* SPDX-License-Identifier: BSD-3-Clause */
/* See adopted.h. */
#include "stack/socket/adopted.h"

#include "stack/socket/socket.h"

void adopted_return(struct stack_socket *socket, enum stack_return reason)
{
	struct adopted *adopted = &socket->adopted;
	uint32_t before = atomic_load_explicit(&adopted->reason, memory_order_relaxed);

	if (!adopted->is_borrowed || reason < before ||
	    (reason == before && reason != STACK_RETURN_LOSS))
		return;
	atomic_store_explicit(&adopted->reason, reason, memory_order_relaxed);
	adopted->announced = true;
	socket_changed(socket, 0);
}

enum stack_return adopted_reason(const struct stack_socket *socket)
{
	return (enum stack_return)atomic_load_explicit(&socket->adopted.reason,
						       memory_order_relaxed);
}

void adopted_losses(const struct stack_socket *socket, struct stack_losses *losses)
{
	const struct adopted *from = &socket->adopted;

	*losses = (struct stack_losses){
		.recoveries = atomic_load_explicit(&from->recoveries, memory_order_relaxed),
		.timeouts = atomic_load_explicit(&from->timeouts, memory_order_relaxed),
		.retransmitted = atomic_load_explicit(&from->retransmitted, memory_order_relaxed),
		.out_of_order = atomic_load_explicit(&from->out_of_order, memory_order_relaxed),
	};
}
