/* SPDX-License-Identifier: BSD-3-Clause */
/* See host_flow.h. */
#include "preload/sockets/host_flow.h"

#include <errno.h>
#include <netinet/in.h>

#include "preload/config/config.h"
#include "preload/config/rules.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/symbols.h"
#include "preload/process/process_stack.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_lend.h"
#include "preload/sockets/borrow_stop.h"
#include "preload/sockets/borrow_watch.h"
#include "preload/sockets/socket_object.h"
#include "common/system_call.h"

/* Under MELIN_REQUIRED=1: whether a flow that rules take cannot be borrowed. */
static bool is_refused(void)
{
	return config_get()->required && !(process_stack_fits_limits() && process_stack_start());
}

static bool is_unspecified(const struct sockaddr *remote, socklen_t length)
{
	return length >= sizeof(sa_family_t) && length <= sizeof(struct sockaddr_storage) &&
	       memory_readable(remote, length) && remote->sa_family == AF_UNSPEC;
}

/*
 * The socket has begun to connect, or has let go of its peer: it may be lent from now on, or not.
 * Behind a filter for system calls it may not: who waits for one that may be makes other calls than
 * the program. Nothing here makes any.
 */
static void note_connect(int descriptor, bool unspecified, bool selected)
{
	struct socket *socket = socket_get_any(descriptor);
	enum socket_state state;

	if (!socket)
		return;
	state = socket_settled(socket);
	if (unspecified) {
		borrow_disconnected(socket);
	} else if (state == SOCKET_UNDECIDED) {
		if (selected && !borrow_is_filtered()) {
			borrow_connected(socket, descriptor);
		} else {
			if (!selected)
				flow_counted_at(descriptor, FLOW_KEPT_RULE, REFUSAL_NONE);
			socket_leave_to_kernel(socket, descriptor);
		}
	}
	socket_put(socket);
}

int host_connect(int descriptor, const struct sockaddr *remote, socklen_t length)
{
	const bool unspecified = descriptor_known(descriptor) && is_unspecified(remote, length);
	bool selected;
	int result, error;

	if (!descriptor_known(descriptor))
		return libc()->connect(descriptor, remote, length);
	if (unspecified)
		borrow_end_any(descriptor, BORROW_CLOSED, false);
	selected = !unspecified && length <= sizeof(struct sockaddr_storage) &&
		   memory_readable(remote, length) &&
		   borrow_is_selected(RULE_CONNECT, remote, length);
	if (selected && is_refused()) {
		errno = ENETDOWN;
		return -1;
	}
	result = libc()->connect(descriptor_of_program(descriptor), remote, length);
	error = errno;
	if (result == 0 || error == EINPROGRESS || error == EINTR)
		note_connect(descriptor, unspecified, selected);
	errno = error;
	return result;
}

/* By its local end. */
static bool is_selected_here(int descriptor)
{
	struct sockaddr_storage local;
	socklen_t length = sizeof(local);

	return libc()->getsockname(descriptor_of_program(descriptor), (struct sockaddr *)&local,
				   &length) == 0 &&
	       borrow_is_selected(RULE_LISTEN, (struct sockaddr *)&local, length);
}

static bool may_accept_selected(int descriptor)
{
	struct sockaddr_storage name;
	struct ip_address local;
	uint16_t port;

	return socket_local_name(descriptor_of_program(descriptor), &name, &local, &port) &&
	       rules_may_take_listener(&config_get()->flows, &local, port);
}

int host_listen(int descriptor, int backlog)
{
	struct socket *socket = socket_get_any(descriptor);

	if (socket) {
		if (socket_settled(socket) == SOCKET_UNDECIDED)
			socket_leave_to_kernel(socket, descriptor);
		socket_put(socket);
	}
	/* The look costs a call, which a filter for system calls may not allow. */
	if (config_get()->required && may_accept_selected(descriptor) && is_refused()) {
		errno = ENETDOWN;
		return -1;
	}
	return libc()->listen(descriptor_of_program(descriptor), backlog);
}

/* Programs listen before they have many descriptors. */
#define LISTENERS_BELOW 64

bool host_listens(void)
{
	const bool connects = rules_take_some_connect(&config_get()->flows);

	for (int descriptor = 0; descriptor < LISTENERS_BELOW; descriptor++)
		if (kernel_get_int(descriptor, SOL_SOCKET, SO_ACCEPTCONN) &&
		    (connects || may_accept_selected(descriptor)))
			return true;
	return false;
}

/* What kind of peer has come: the program may not have asked, or have too little room for it. */
static sa_family_t family_of(int descriptor, const struct sockaddr *peer, const socklen_t *length)
{
	if (peer && length && *length >= sizeof(peer->sa_family))
		return peer->sa_family;
	return (sa_family_t)kernel_get_int(descriptor, SOL_SOCKET, SO_DOMAIN);
}

int host_accept(int descriptor, struct sockaddr *peer, socklen_t *length, int flags)
{
	struct sockaddr_storage own;
	socklen_t own_length = sizeof(own);
	sa_family_t family;
	int accepted;

	if (!peer) {
		peer = (struct sockaddr *)&own;
		length = &own_length;
	}
	accepted = libc()->accept4(descriptor_of_program(descriptor), peer, length, flags);
	if (accepted < 0 || borrow_is_filtered())
		return accepted;
	family = family_of(accepted, peer, length);
	if (family != AF_INET && family != AF_INET6)
		return accepted;
	if (is_selected_here(accepted))
		borrow_accepted(accepted, family);
	else
		flow_counted_at(accepted, FLOW_KEPT_RULE, REFUSAL_NONE);
	return accepted;
}
