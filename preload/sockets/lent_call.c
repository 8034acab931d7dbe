/* SPDX-License-Identifier: BSD-3-Clause */
/* See lent_call.h. */
#include "preload/sockets/lent_call.h"

#include <errno.h>
#include <stdatomic.h>

#include "preload/libc/cancellation.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_stop.h"
#include "preload/sockets/borrow_watch.h"
#include "preload/sockets/socket_object.h"

/* The call is cancelled while it sleeps: its reference goes. */
static void let_go(void *socket)
{
	socket_put(socket);
}

/* True: the stack has it now. */
static bool borrow_before(struct socket *socket, int descriptor, enum borrow_direction direction)
{
	enum borrow_step step;
	bool borrowed = false;
	int errno_before; /* a call of the program's that succeeds leaves it alone */
	uint64_t began;

	if (direction == BORROW_NEITHER)
		return false;
	step = borrow_policy_before(&socket->policy, socket->loan.state == LOAN_WATCHED);
	/* What follows makes system calls, which a filter of the program's may not know. */
	if (step == BORROW_STAY || borrow_is_filtered() || !borrow_policy_begin(&began))
		return false;
	errno_before = errno;
	if (step == BORROW_NOW)
		borrowed = borrow_now(socket, descriptor);
	else if (borrow_policy_has_room(&socket->policy, !process_stack_running(), began))
		borrow_watch(socket, descriptor);
	borrow_policy_end(began);
	errno = errno_before;
	return borrowed;
}

static ssize_t in_kernel(struct socket *socket, enum borrow_direction direction,
			 const struct system_call *call)
{
	ssize_t result = cancellation_call(call, false, let_go, socket);

	if (result == -EINTR)
		return socket_interrupted(socket, direction == BORROW_RECEIVE);
	if (result > 0 && direction != BORROW_NEITHER)
		borrow_policy_carried(&socket->policy, direction, (size_t)result);
	return result;
}

ssize_t lent_call_known(struct socket *socket, int descriptor, enum borrow_direction direction,
			const struct system_call *call)
{
	const enum socket_state state = socket_settled(socket);
	ssize_t result;

	if (state == SOCKET_CONNECTION && atomic_load(&socket->borrowed)) {
		result = -ESTALE; /* since the caller has looked */
	} else if (state == SOCKET_LENDABLE) {
		result = borrow_before(socket, descriptor, direction) ? -ESTALE
			 : borrow_is_refused(socket)		      ? -ENETDOWN
						     : in_kernel(socket, direction, call);
	} else if (borrow_is_refused(socket)) {
		result = -ENETDOWN;
	} else {
		socket_put(socket);
		return LENT_NOT;
	}
	return socket_leave(socket, result);
}
