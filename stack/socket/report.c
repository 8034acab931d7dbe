/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of each call into the stack: report.h. */
#include "stack/socket/report.h"

#include <errno.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket/socket.h"

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
	pcb_detach(socket);
	tcp_abandon(pcb, 1);
	socket_done(socket, ECONNRESET);
}

/* After the data that came with the reason for it, so that the program can read that first. */
static void note_returning(struct stack *stack)
{
	struct stack_socket *socket;

	while ((socket = adopted_next(stack)))
		readiness_note(socket, STACK_EVENT_RETURN);
}

void report_events(struct stack *stack)
{
	note_returning(stack);
	while (stack->dead) {
		struct stack_socket *socket = stack->dead;

		stack->dead = socket->place.next_dead;
		socket_free(socket);
	}
	while (stack->changed) {
		struct stack_socket *socket = stack->changed;
		struct readiness *own = &socket->readiness;
		uint32_t events;

		if (socket->data_refused)
			reset_for_data(socket);
		events = own->events | (own->is_loud ? 0 : STACK_EVENT_QUIET);
		stack->changed = own->next_changed;
		own->is_changed = false;
		own->events = 0;
		own->is_loud = false;
		atomic_store_explicit(&own->ready, own->computed, memory_order_release);
		if (socket->user && stack->callbacks.event)
			stack->callbacks.event(socket->user, events);
	}
}
