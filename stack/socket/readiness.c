/* SPDX-License-Identifier: BSD-3-Clause */
/* What poll(2) and its kin see of a socket: readiness.h. */
#include "stack/socket/readiness.h"

#include "stack/instance/pressure.h"
#include "stack/instance_parts.h"
#include "stack/socket/socket.h"

/*
 * The most that Linux takes a peer's segments to be, about: it begins with half a small window, and
 * measures. Of a small window an eighth is little.
 */
static uint32_t segment_of_peer(const struct tcp_pcb *pcb)
{
	return LWIP_MIN(pcb->mss, TCP_WND_MAX(pcb) / 8);
}

/*
 * As Linux's tcp_epollin_ready(): with a segment's room or less the peer cannot send much more. It
 * has heard of the window's edge in units of the scale, rounded down. No more is taken under memory
 * pressure either.
 */
static bool takes_little(const struct tcp_pcb *pcb)
{
	if (pressure_now() == PRESSURE_LIMIT)
		return true;
	return pcb && !TCP_SEQ_GT(pcb->rcv_ann_right_edge, pcb->rcv_nxt + segment_of_peer(pcb) +
								   ((1u << pcb->rcv_scale) - 1));
}

static bool input_ready(const struct stack_socket *socket)
{
	size_t target =
		(size_t)(socket->options.receive_low_water > 1 ? socket->options.receive_low_water
							       : 1);

	if (!socket->received.bytes)
		return false; /* the usual case; the target below is never 0 */
	if (target > socket->options.receive_buffer / 2)
		target = socket->options.receive_buffer / 2;
	if (socket->urgent.state != URGENT_NONE && urgent_is_next(socket))
		target++;
	if (socket->received.bytes >= target)
		return true;
	return socket->options.receive_low_water > 1 && takes_little(socket->pcb);
}

static uint32_t compute_data(const struct stack_socket *socket)
{
	uint32_t ready = 0;

	if (input_ready(socket))
		ready |= READY_INPUT;
	if ((socket->shutdown & SHUT_SEND) || send_buffer_has_room(socket))
		ready |= READY_OUTPUT;
	if (socket->urgent.state == URGENT_THERE)
		ready |= EPOLLPRI;
	return ready;
}

/* As Linux's tcp_poll() and, for listeners, inet_csk_listen_poll(). */
static uint32_t compute(const struct stack_socket *socket)
{
	uint32_t ready = socket->error ? EPOLLERR : 0;

	/* What nearly all of them are, nearly always. */
	if (socket->state == SOCKET_CONNECTED && !socket->shutdown)
		return ready | compute_data(socket);
	if (socket->state == SOCKET_LISTENING)
		return TAILQ_EMPTY(&socket->accept_queue.established) ? 0 : READY_INPUT;
	if (socket->state == SOCKET_GIVEN)
		return READY_INPUT | READY_OUTPUT; /* whoever waits calls, and gets -ESTALE */
	if (socket->shutdown == SHUT_BOTH || socket->state == SOCKET_CLOSED)
		ready |= EPOLLHUP;
	if (socket->shutdown & SHUT_RECEIVE)
		ready |= READY_INPUT | EPOLLRDHUP;
	if (socket->state != SOCKET_SYN_SENT && socket->state != SOCKET_SYN_RECEIVED)
		ready |= compute_data(socket);
	return ready;
}

void readiness_start(struct stack_socket *socket)
{
	struct readiness *own = &socket->readiness;

	own->computed = compute(socket);
	atomic_init(&own->ready, own->computed);
	atomic_init(&own->urgent_bytes, SIZE_MAX);
}

/* At the end of the list, since epoll_wait(2) reports in the order of arrival. */
static void append(struct stack_socket *socket)
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

void readiness_note(struct stack_socket *socket, uint32_t events)
{
	socket->readiness.events |= events;
	if (!socket->readiness.is_changed)
		append(socket);
}

void readiness_end(struct stack_socket *socket)
{
	struct stack *stack = socket->stack;
	struct stack_socket *previous = NULL;

	if (!socket->readiness.is_changed)
		return;
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

static void changed(struct stack_socket *socket, uint32_t events, bool quiet)
{
	struct readiness *own = &socket->readiness;
	uint32_t seen = atomic_load_explicit(&own->ready, memory_order_relaxed);
	uint32_t ready = compute(socket);

	atomic_store_explicit(&own->readable_bytes, socket->received.bytes, memory_order_relaxed);
	atomic_store_explicit(&own->unsent_bytes, send_buffer_unacknowledged(socket),
			      memory_order_relaxed);
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
	own->is_loud |= !quiet;
	readiness_note(socket, events);
}

void socket_changed(struct stack_socket *socket, uint32_t events)
{
	changed(socket, events, false);
}

void socket_changed_quietly(struct stack_socket *socket, uint32_t events)
{
	changed(socket, events, true);
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
