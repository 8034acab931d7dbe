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
					      socket->backlog);
	if (result < 0) {
		stack_half_drop(socket);
		return result;
	}
	if (socket->dual && !atomic_load(&socket->awaits))
		socket_make_twin_nonblocking(socket);
	flow_counted(FLOW_TAKEN_LISTEN);
	atomic_store_explicit(&socket->state, SOCKET_LISTENER, memory_order_release);
	epoll_taken_by_stack(&socket->object);
	return 0;
}

void listener_give_up(struct socket *socket, enum flow_count why)
{
	process_stack_tell_unanswered();
	if (!atomic_exchange(&socket->awaits, false))
		flow_counted(why);
	else if (socket->dual && !atomic_load(&socket->nonblocking))
		socket_make_twin_blocking(socket);
	if (config_get()->required)
		atomic_store(&socket->failed, true); /* accept(2) says so, once */
	if (config_get()->required || (socket->dual && atomic_load(&socket->forked))) {
		/* The process that has the stack makes the twin, which is its too, non-blocking. */
		if (socket->dual)
			socket_make_twin_nonblocking(socket);
		atomic_store_explicit(&socket->state, SOCKET_LISTENER, memory_order_release);
		epoll_taken_by_stack(&socket->object);
		return;
	}
	atomic_store(&socket->state, SOCKET_KERNEL);
	epoll_left_to_kernel(&socket->object);
}
