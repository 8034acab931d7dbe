/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: making, naming, connecting and configuring sockets. Thin: what they mean is in
 * flow.c, pending.c, socket_object.c, transfer.c and twin_options.c.
 */
#include <linux/tcp.h>

#include "preload/config/advice.h"
#include "preload/config/config.h"
#include "preload/libc/cancellation.h"
#include "preload/config/rules.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_info.h"
#include "preload/sockets/flow.h"
#include "preload/sockets/host_flow.h"
#include "preload/sockets/listener.h"
#include "preload/sockets/option_calls.h"
#include "preload/sockets/pending.h"
#include "preload/libc/result.h"
#include "preload/sockets/socket_object.h"
#include "preload/libc/symbols.h"
#include "preload/calls/trace.h"

INTERPOSED int socket(int domain, int type, int protocol)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_socket, domain, type, protocol);

	int descriptor = libc()->socket(domain, type, protocol);

	if (descriptor >= 0 && config_active() && socket_candidate(domain, type, protocol))
		socket_created(descriptor, domain);
	return descriptor;
}

INTERPOSED int bind(int descriptor, const struct sockaddr *local, socklen_t length)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_bind, descriptor, local, (size_t)length);

	int result;

	if (descriptor_known(descriptor) && flow_bind(descriptor, local, length, &result))
		return (int)as_libc(result);
	return libc()->bind(descriptor_of_program(descriptor), local, length);
}

INTERPOSED int listen(int descriptor, int backlog)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_listen, descriptor, backlog);

	int result;

	if (config_get()->host)
		return host_listen(descriptor, backlog);
	if (config_active() && flow_listen(descriptor, backlog, &result))
		return (int)as_libc(result);
	if (config_without_rules)
		advice_without_rules(descriptor);
	return libc()->listen(descriptor_of_program(descriptor), backlog);
}

INTERPOSED int connect(int descriptor, const struct sockaddr *remote, socklen_t length)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_connect, descriptor, remote, (size_t)length);

	int result;

	if (config_active())
		cancellation_point();
	if (config_get()->host)
		return host_connect(descriptor, remote, length);
	if (config_active() && flow_connect(descriptor, remote, length, &result))
		return result == -ERESTART ? connect(descriptor, remote, length)
					   : (int)as_libc(result);
	if (config_without_rules)
		advice_without_rules(descriptor);
	return libc()->connect(descriptor_of_program(descriptor), remote, length);
}

static int accept_flags(struct socket *socket, int descriptor, struct sockaddr *peer,
			socklen_t *length, int flags)
{
	int result;

	if (listener_is_unused(socket))
		pending_first_use(socket);
	if (atomic_load(&socket->state) == SOCKET_KERNEL) {
		socket_put(socket);
		return libc()->accept4(descriptor_of_program(descriptor), peer, length, flags);
	}
	result = socket_accept(socket, peer, length, flags);
	result = (int)socket_leave(socket, result);
	return result == -ERESTART ? accept4(descriptor, peer, length, flags)
				   : (int)as_libc(result);
}

INTERPOSED int accept(int descriptor, struct sockaddr *peer, socklen_t *length)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_accept, descriptor, peer, length);

	struct socket *socket = socket_get_at_point(descriptor);

	if (!socket && config_get()->host)
		return host_accept(descriptor, peer, length, 0);
	if (!socket)
		return libc()->accept(descriptor_of_program(descriptor), peer, length);
	return accept_flags(socket, descriptor, peer, length, 0);
}

INTERPOSED int accept4(int descriptor, struct sockaddr *peer, socklen_t *length, int flags)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_accept4, descriptor, peer, length, flags);

	struct socket *socket = socket_get_at_point(descriptor);

	if (!socket && config_get()->host)
		return host_accept(descriptor, peer, length, flags);
	if (!socket)
		return libc()->accept4(descriptor_of_program(descriptor), peer, length, flags);
	return accept_flags(socket, descriptor, peer, length, flags);
}

INTERPOSED int shutdown(int descriptor, int how)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_shutdown, descriptor, how);

	struct socket *socket;
	int result;

	borrow_end_any(descriptor, BORROW_CLOSED, true);
	socket = socket_get(descriptor);
	if (!socket)
		return libc()->shutdown(descriptor_of_program(descriptor), how);
	result = (int)as_libc(socket_shutdown(socket, descriptor, how));
	socket_put(socket);
	return result;
}

INTERPOSED int getsockname(int descriptor, struct sockaddr *name, socklen_t *length)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_getsockname, descriptor, name, length);

	struct socket *socket = socket_get(descriptor);
	int result;

	if (!socket)
		return libc()->getsockname(descriptor_of_program(descriptor), name, length);
	result = socket_name(socket, descriptor, false, name, length);
	socket_put(socket);
	return (int)as_libc(result);
}

INTERPOSED int getpeername(int descriptor, struct sockaddr *name, socklen_t *length)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_getpeername, descriptor, name, length);

	struct socket *socket = socket_get(descriptor);
	int result;

	if (!socket)
		return libc()->getpeername(descriptor_of_program(descriptor), name, length);
	result = socket_name(socket, descriptor, true, name, length);
	socket_put(socket);
	return (int)as_libc(result);
}

static int get_from_kernel(int descriptor, int level, int name, void *value, socklen_t *length)
{
	int result =
		libc()->getsockopt(descriptor_of_program(descriptor), level, name, value, length);

	if (level == IPPROTO_TCP && name == TCP_INFO && result == 0 && config_get()->host)
		borrow_info_complete(descriptor, value, *length);
	return result;
}

INTERPOSED int getsockopt(int descriptor, int level, int name, void *value, socklen_t *length)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_getsockopt, descriptor, level, name, value, length);

	struct socket *socket = socket_get(descriptor);
	int result;

	if (!socket)
		return get_from_kernel(descriptor, level, name, value, length);
	result = option_call_get(socket, descriptor, level, name, value, length);
	if (result == -ESTALE) {
		borrow_end(socket, BORROW_CALL, false);
		socket_put(socket);
		return getsockopt(descriptor, level, name, value, length);
	}
	socket_put(socket);
	return (int)as_libc(result);
}

INTERPOSED int setsockopt(int descriptor, int level, int name, const void *value, socklen_t length)
{
	if (trace_wanted())
		return (int)trace_call(TRACE_setsockopt, descriptor, level, name, value, length);

	struct socket *socket = socket_get_any(descriptor);
	int result;

	if (!socket)
		return libc()->setsockopt(descriptor_of_program(descriptor), level, name, value,
					  length);
	/* Before: who borrows it meanwhile would read its queues with SO_PEEK_OFF, for one. */
	if (option_call_keeps(socket, level, name, value, length))
		borrow_end(socket, BORROW_CALL, true);
	result = option_call_set(socket, descriptor, level, name, value, length);
	if (result == -ESTALE) {
		borrow_end(socket, BORROW_CALL, false);
		result = option_call_set(socket, descriptor, level, name, value, length);
	}
	socket_put(socket);
	return (int)as_libc(result);
}

INTERPOSED_ALIAS(connect, __connect);
