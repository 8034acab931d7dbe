/* SPDX-License-Identifier: BSD-3-Clause */
/* See listener.h. */
#include "preload/sockets/listener.h"

#include <errno.h>
#include <sys/socket.h>

#include "preload/config/config.h"
#include "preload/libc/symbols.h"
#include "preload/sockets/socket_object.h"
#include "preload/sockets/stack_half.h"
#include "preload/waiting/epoll.h"

int listener_start(struct socket *socket, const struct instance *instance)
{
	struct sockaddr_storage local;
	socklen_t length = sizeof(local);
	int result;

	if (libc()->getsockname(socket->descriptor, (struct sockaddr *)&local, &length) < 0)
		return -errno;
	result = stack_half_create(socket, socket->descriptor, instance);
	if (result < 0)
		return result;
	result = instance->operations->listen(socket->handle, (struct sockaddr *)&local,
					      socket->listener.backlog);
	if (result < 0) {
		stack_half_drop(socket);
		return result;
	}
	if (socket->listener.dual && atomic_load(&socket->state) != SOCKET_AWAITING)
		socket_make_twin_nonblocking(socket);
	flow_counted(FLOW_TAKEN_LISTEN);
	atomic_store_explicit(&socket->state, SOCKET_LISTENER, memory_order_release);
	epoll_taken_by_stack(&socket->object);
	return 0;
}

/*
 * The listener stays one of melin's, whose twin alone is asked: another process that has it may
 * have a stack for it, or MELIN_REQUIRED wants its accept(2) to fail.
 */
static void go_on_without_stack(struct socket *socket)
{
	/* The other process makes the twin, which is the same socket, non-blocking in any case. */
	if (socket->listener.dual)
		socket_make_twin_nonblocking(socket);
	atomic_store_explicit(&socket->state, SOCKET_LISTENER, memory_order_release);
	epoll_taken_by_stack(&socket->object);
}

void listener_give_up(struct socket *socket, enum flow_count why)
{
	const bool required = config_get()->required;

	process_stack_tell_unanswered();
	if (atomic_load(&socket->state) != SOCKET_AWAITING)
		flow_counted(why);
	else if (socket->listener.dual && !atomic_load(&socket->nonblocking))
		socket_make_twin_blocking(socket);
	if (required)
		atomic_store(&socket->failed, true);
	if (required || (socket->listener.dual && atomic_load(&socket->reach) != TWIN_OURS)) {
		go_on_without_stack(socket);
		return;
	}
	atomic_store(&socket->state, SOCKET_KERNEL);
	epoll_left_to_kernel(&socket->object);
}

void listener_wait(struct socket *socket)
{
	enum socket_state deciding = SOCKET_DECIDING;

	/* Another thread may have found it in the list already, and changed its state. */
	atomic_compare_exchange_strong(&socket->state, &deciding, SOCKET_PENDING);
	if (listener_is_waiting(socket))
		epoll_listener_unused(&socket->object);
}

void listener_await(struct socket *socket)
{
	if (atomic_load(&socket->state) == SOCKET_AWAITING)
		return;
	if (socket->listener.dual)
		socket_make_twin_nonblocking(socket);
	atomic_store(&socket->state, SOCKET_AWAITING);
	flow_counted(FLOW_LEFT_STACK);
}

bool listener_use(struct socket *socket)
{
	atomic_store(&socket->listener.shared, false);
	return listener_is_waiting(socket);
}

/*
 * Which of the two processes will serve is known only when one of them uses the listener next. If
 * another thread of this one waits on it already, for the kernel half and for the device, then this
 * process is using it.
 */
void listener_before_fork(struct socket *socket)
{
	enum twin_reach ours = TWIN_OURS;
	const enum socket_state state = atomic_load(&socket->state);

	if (!socket->listener.dual || (!listener_is_waiting(socket) && state != SOCKET_LISTENER))
		return;
	atomic_compare_exchange_strong(&socket->reach, &ours, TWIN_FORKED);
	if (state != SOCKET_AWAITING || !epoll_is_waited_on(&socket->object))
		atomic_store(&socket->listener.shared, true);
	epoll_listener_unused(&socket->object);
}

/* A thread of the parent may be waiting on it, but that does not count for the child. */
void listener_forked(struct socket *socket)
{
	if (socket->listener.dual)
		atomic_store(&socket->listener.shared, true);
}

void listener_passed(int descriptor)
{
	struct socket *socket = socket_get_any(descriptor);

	if (!socket)
		return;
	if (atomic_exchange(&socket->reach, TWIN_PASSED) != TWIN_PASSED &&
	    listener_has_kernel_half(socket) && !atomic_load(&socket->nonblocking))
		socket_make_twin_blocking(socket);
	socket_put(socket);
}
