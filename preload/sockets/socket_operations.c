/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * struct object_operations for sockets: what the table of descriptors, epoll and poll ask of a
 * socket. Not for the calls of the program on it (socket_object.h).
 */
#include <sys/socket.h>

#include "common/own_descriptor.h"
#include "preload/libc/monotonic.h"
#include "preload/libc/symbols.h"
#include "preload/libc/thread.h"
#include "preload/sockets/listener.h"
#include "preload/sockets/pending.h"
#include "preload/sockets/socket_object.h"
#include "preload/waiting/epoll.h"

/* ---- its end ---- */

/*
 * melin knows the twin of a listener by one of its descriptors. If the program closes that one
 * another one takes its place. If it was the last one while a call is running, that call goes on as
 * it would in the kernel: melin keeps a duplicate for it.
 */
static void descriptor_closed(struct object *object, int descriptor, bool is_last)
{
	struct socket *socket = (struct socket *)object;
	unsigned tries = 0;
	int duplicate;

	while (!descriptor_succeed(object, &socket->descriptor, descriptor, is_last))
		descriptor_pause(&tries);
	if (is_last && listener_has_kernel_half(socket) && atomic_load(&object->references) > 1) {
		duplicate = libc()->dup(descriptor);
		if (duplicate < 0)
			return; /* the running call gets EBADF */
		socket->kept = true;
		atomic_store(&socket->descriptor, own_descriptor(duplicate));
	}
}

static _Atomic int *known(struct object *object)
{
	return &((struct socket *)object)->descriptor;
}

/* Calls work() for each connection that this process's stack carries. */
static void for_each_connection(void (*work)(struct socket *socket, uint64_t deadline),
				uint64_t deadline)
{
	struct socket *socket;

	for (int descriptor = 0; (socket = socket_get_next(&descriptor)); descriptor++) {
		if (atomic_load(&socket->state) == SOCKET_CONNECTION && socket_instance(socket))
			work(socket, deadline);
		socket_put(socket);
	}
}

static void finish(struct socket *socket, uint64_t deadline)
{
	(void)deadline;
	socket->instance->operations->shutdown(socket->handle, SHUT_WR);
}

/* A peer that is gone answers no FIN. */
static void wait_for_data(struct socket *socket, uint64_t deadline)
{
	socket_wait_sent(socket, 1, deadline);
}

/* All of them begin to end before the first one is waited for. */
void socket_finish_all(uint64_t deadline)
{
	for_each_connection(finish, 0);
	for_each_connection(wait_for_data, deadline);
}

/*
 * close(2) with SO_LINGER: waits until the peer has acknowledged everything, or the time is over.
 * As in Linux that is in the last call on it, if one is running while it is closed.
 */
static void linger(struct socket *socket, const struct instance *instance)
{
	const struct stack_operations *operations = instance->operations;
	struct linger value = { 0 };
	socklen_t length = sizeof(value);
	uint64_t deadline;

	if (operations->get_option(socket->handle, SOL_SOCKET, SO_LINGER, &value, &length) < 0 ||
	    !value.l_onoff || value.l_linger == 0 || operations->readable(socket->handle) > 0)
		return;
	if (operations->shutdown(socket->handle, SHUT_WR) < 0)
		return;
	/* To Linux a negative number of seconds is for ever. */
	deadline = value.l_linger < 0 ? CLOCK_NEVER
				      : clock_after((uint64_t)value.l_linger * 1000000000u);
	socket_wait_sent(socket, 0, deadline);
}

/* A listener's port is not free before the stack has let go of it. */
static enum object_end end(const struct object *object)
{
	switch (atomic_load(&((const struct socket *)object)->state)) {
	case SOCKET_CONNECTION:
		return END_AFTER_KERNEL;
	case SOCKET_PENDING:
	case SOCKET_AWAITING:
	case SOCKET_LISTENER:
		return END_WITH_KERNEL;
	default:
		return END_BEFORE_KERNEL;
	}
}

static void closed(struct object *object)
{
	struct socket *socket = (struct socket *)object;

	epoll_forget(object);
	if (listener_is_waiting(socket))
		pending_forget(socket);
}

static void destroy(struct object *object)
{
	struct socket *socket = (struct socket *)object;
	const struct instance *instance = socket_instance(socket);

	if (instance && atomic_load(&socket->state) == SOCKET_CONNECTION &&
	    !atomic_load(&socket->borrowed) && !process_stack_is_parents() && !thread_is_own())
		linger(socket, instance);
	if (instance)
		instance->operations->release(socket->handle);
	socket->handle = NULL;
	if (socket->kept)
		own_descriptor_close(socket->descriptor);
}

/* ---- waiting for it ---- */

static uint32_t readiness(struct object *object, bool locked)
{
	(void)locked;
	return socket_readiness((struct socket *)object);
}

static enum object_form form(const struct object *object)
{
	const struct socket *socket = (const struct socket *)object;

	switch (atomic_load(&socket->state)) {
	case SOCKET_CONNECTION:
		return FORM_STACK;
	case SOCKET_LISTENER:
		return socket->listener.dual ? FORM_MIXED : FORM_STACK;
	default:
		return FORM_KERNEL;
	}
}

static enum object_form begin_wait(struct object *object, int descriptor)
{
	struct socket *socket = (struct socket *)object;

	if (!socket_is_stacks(socket, descriptor))
		return FORM_KERNEL;
	if (listener_is_unused(socket)) {
		pending_first_use(socket);
		if (!socket_is_stacks(socket, descriptor))
			return FORM_KERNEL;
	}
	return socket->listener.dual ? FORM_MIXED : FORM_STACK;
}

static bool is_unused(const struct object *object)
{
	return listener_is_unused((const struct socket *)object);
}

static bool use(struct object *object)
{
	return listener_use((struct socket *)object);
}

const struct object_operations socket_operations = {
	.descriptor_closed = descriptor_closed,
	.closed = closed,
	.end = end,
	.known = known,
	.destroy = destroy,
	.readiness = readiness,
	.form = form,
	.begin_wait = begin_wait,
	.is_unused = is_unused,
	.use = use,
	.use_all = pending_first_use_all,
};
