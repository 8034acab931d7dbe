/* SPDX-License-Identifier: BSD-3-Clause */
/* A listener's children: accept_queue.h. */
#include "stack/socket/accept_queue.h"

#include "stack/instance_parts.h"
#include "stack/socket/socket.h"

bool accept_queue_is_full(const struct stack_socket *listener)
{
	const struct accept_queue *queue = &listener->accept_queue;

	return queue->established_count > queue->backlog; /* as sk_acceptq_is_full(): one more */
}

bool accept_queue_refuses(const struct stack_socket *child)
{
	return child->place.listener && accept_queue_is_full(child->place.listener);
}

void accept_queue_start(struct stack_socket *socket)
{
	struct accept_queue *queue = &socket->accept_queue;

	*queue = (struct accept_queue){ 0 };
	TAILQ_INIT(&queue->established);
	TAILQ_INIT(&queue->embryos);
}

void accept_queue_add_embryo(struct stack_socket *listener, struct stack_socket *child)
{
	child->place.listener = listener;
	TAILQ_INSERT_TAIL(&listener->accept_queue.embryos, child, place.child);
	listener->accept_queue.embryo_count++;
}

static void remove_embryo(struct stack_socket *child)
{
	struct stack_socket *listener = child->place.listener;

	TAILQ_REMOVE(&listener->accept_queue.embryos, child, place.child);
	listener->accept_queue.embryo_count--;
}

void accept_queue_bury(struct stack_socket *child)
{
	child->released = true;
	child->place.listener = NULL;
	child->place.next_dead = child->stack->dead;
	child->stack->dead = child;
}

bool accept_queue_is_embryo(const struct stack_socket *child)
{
	return child->place.listener && (child->state == SOCKET_SYN_RECEIVED || child->deferred);
}

bool accept_queue_forget(struct stack_socket *child)
{
	if (!accept_queue_is_embryo(child))
		return false;
	remove_embryo(child);
	accept_queue_bury(child);
	return true;
}

static void establish(struct stack_socket *child)
{
	struct stack_socket *listener = child->place.listener;

	remove_embryo(child);
	TAILQ_INSERT_TAIL(&listener->accept_queue.established, child, place.child);
	listener->accept_queue.established_count++;
	listener->stack->counters.accepts++;
	socket_changed(child, 0);
	socket_changed(listener, READY_INPUT);
}

void accept_queue_establish(struct stack_socket *child)
{
	child->deferred = child->place.listener->options.defer_accept > 0;
	if (!child->deferred)
		establish(child);
}

void accept_queue_data_came(struct stack_socket *child)
{
	child->deferred = false;
	establish(child);
}

void accept_queue_check_deferred(struct stack_socket *child, uint64_t now)
{
	if (now - child->handshake.since >= child->options.defer_accept * 1000000000ull)
		accept_queue_data_came(child);
}

struct stack_socket *accept_queue_take(struct stack_socket *listener)
{
	struct stack_socket *child = TAILQ_FIRST(&listener->accept_queue.established);

	if (!child)
		return NULL;
	TAILQ_REMOVE(&listener->accept_queue.established, child, place.child);
	listener->accept_queue.established_count--;
	child->place.listener = NULL;
	socket_changed(listener, 0);
	return child;
}
