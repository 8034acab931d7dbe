/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: making, naming, connecting and configuring sockets. Thin: what they mean is in
 * flow.c, pending.c, socket_object.c, transfer.c and twin_options.c.
 */
#include <errno.h>
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
	RETURN_TRACED(socket, domain, type, protocol);

	int descriptor = libc()->socket(domain, type, protocol);

	if (descriptor >= 0 && config_active() && socket_candidate(domain, type, protocol))
		socket_created(descriptor, domain);
	return descriptor;
}

INTERPOSED int bind(int descriptor, const struct sockaddr *local, socklen_t length)
{
	RETURN_TRACED(bind, descriptor, local, (size_t)length);

	int result;

	if (descriptor_known(descriptor) && flow_bind(descriptor, local, length, &result))
		return (int)as_libc(result);
	return libc()->bind(descriptor_of_program(descriptor), local, length);
}

INTERPOSED int listen(int descriptor, int backlog)
{
	RETURN_TRACED(listen, descriptor, backlog);

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
	RETURN_TRACED(connect, descriptor, remote, (size_t)length);

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
	RETURN_TRACED(accept, descriptor, peer, length);

	struct socket *socket = socket_get_at_point(descriptor);

	if (!socket && config_get()->host)
		return host_accept(descriptor, peer, length, 0);
	if (!socket)
		return libc()->accept(descriptor_of_program(descriptor), peer, length);
	return accept_flags(socket, descriptor, peer, length, 0);
}

INTERPOSED int accept4(int descriptor, struct sockaddr *peer, socklen_t *length, int flags)
{
	RETURN_TRACED(accept4, descriptor, peer, length, flags);

	struct socket *socket = socket_get_at_point(descriptor);

	if (!socket && config_get()->host)
		return host_accept(descriptor, peer, length, flags);
	if (!socket)
		return libc()->accept4(descriptor_of_program(descriptor), peer, length, flags);
	return accept_flags(socket, descriptor, peer, length, flags);
}

INTERPOSED int shutdown(int descriptor, int how)
{
	RETURN_TRACED(shutdown, descriptor, how);

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

static int stack_name(struct socket *socket, int descriptor, bool peer, struct sockaddr *name,
		      socklen_t *length)
{
	const int result = socket_name(socket, descriptor, peer, name, length);

	socket_put(socket);
	return (int)as_libc(result);
}

INTERPOSED int getsockname(int descriptor, struct sockaddr *name, socklen_t *length)
{
	RETURN_TRACED(getsockname, descriptor, name, length);

	struct socket *socket = socket_get(descriptor);

	if (socket)
		return stack_name(socket, descriptor, false, name, length);
	return libc()->getsockname(descriptor_of_program(descriptor), name, length);
}

INTERPOSED int getpeername(int descriptor, struct sockaddr *name, socklen_t *length)
{
	RETURN_TRACED(getpeername, descriptor, name, length);

	struct socket *socket = socket_get(descriptor);

	if (socket)
		return stack_name(socket, descriptor, true, name, length);
	return libc()->getpeername(descriptor_of_program(descriptor), name, length);
}

static int get_from_kernel(int descriptor, int level, int name, void *value, socklen_t *length)
{
	if (libc()->getsockopt(descriptor_of_program(descriptor), level, name, value, length) < 0)
		return -errno;
	if (level == IPPROTO_TCP && name == TCP_INFO && config_get()->host)
		borrow_info_complete(descriptor, value, *length);
	return 0;
}

/* The reference keeps others from borrowing it meanwhile, which changes what the twin tells. */
static int get_option(struct socket *socket, int descriptor, int level, int name, void *value,
		      socklen_t *length)
{
	return socket_is_stacks(socket, descriptor)
		       ? option_call_get(socket, descriptor, level, name, value, length)
		       : get_from_kernel(descriptor, level, name, value, length);
}

INTERPOSED int getsockopt(int descriptor, int level, int name, void *value, socklen_t *length)
{
	RETURN_TRACED(getsockopt, descriptor, level, name, value, length);

	struct socket *socket = socket_get_any(descriptor);
	int result;

	if (!socket)
		return (int)as_libc(get_from_kernel(descriptor, level, name, value, length));
	result = get_option(socket, descriptor, level, name, value, length);
	if (result == -ESTALE) {
		borrow_end(socket, BORROW_CALL, false);
		socket_put(socket);
		return getsockopt(descriptor, level, name, value, length);
	}
	socket_put(socket);
	return (int)as_libc(result);
}

/*
 * The reference keeps others from borrowing it meanwhile: the stack would not have the value, or it
 * would read the twin's queues with SO_PEEK_OFF, for one. What only the kernel serves makes it the
 * kernel's, for good if the kernel takes it.
 */
static int set_option(struct socket *socket, int descriptor, int level, int name, const void *value,
		      socklen_t length)
{
	bool keeps;
	int result;

	socket_settled(socket); /* who had begun to borrow it before */
	keeps = option_call_keeps(socket, level, name, value, length);
	if (keeps)
		borrow_end(socket, BORROW_CALL, false);
	result = option_call_set(socket, descriptor, level, name, value, length);
	if (result == -ESTALE) {
		borrow_end(socket, BORROW_CALL, false);
		result = option_call_set(socket, descriptor, level, name, value, length);
	}
	if (keeps && result == 0)
		borrow_end(socket, BORROW_CALL, true);
	return result;
}

INTERPOSED int setsockopt(int descriptor, int level, int name, const void *value, socklen_t length)
{
	RETURN_TRACED(setsockopt, descriptor, level, name, value, length);

	struct socket *socket = socket_get_any(descriptor);
	int result;

	if (!socket)
		return libc()->setsockopt(descriptor_of_program(descriptor), level, name, value,
					  length);
	result = set_option(socket, descriptor, level, name, value, length);
	socket_put(socket);
	return (int)as_libc(result);
}

INTERPOSED_ALIAS(connect, __connect);
