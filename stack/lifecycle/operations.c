/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table that melin-stack.so exports: stack.h. Nothing else of it is visible. Here is the one
 * place where calls from outside take the instance's lock and let go of it again, and where a call
 * that finds nothing looks for input before it says so. What the calls do is elsewhere: each
 * function's name begins with its file's.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "common/connection_state.h"
#include "stack/lifecycle/background.h"
#include "stack/lifecycle/instance.h"
#include "stack/lifecycle/lifetime.h"
#include "stack/ip/loop.h"
#include "stack/ip/network.h"
#include "stack/socket/ports.h"
#include "stack/socket/socket.h"
#include "stack/stack.h"

static int enter(struct stack *stack)
{
	int status = instance_enter(stack);

	if (status == 0)
		send_pair_release(stack);
	return status;
}

/*
 * send() on the socket may be what its first part waits for. With MSG_MORE it is not: what comes
 * now waits for more, and the first part must not.
 */
static int enter_to_send(struct stack_socket *socket, int flags)
{
	struct stack *stack = socket->stack;
	int status = instance_enter(stack);

	if (status == 0 && (stack->half_sent != socket || flags & MSG_MORE))
		send_pair_release(stack);
	return status;
}

/* The value of call, made with the lock held; what comes of it is sent before the lock is freed. */
#define INSIDE(stack, call)                                                                        \
	({                                                                                         \
		__typeof__(call) status_ = enter(stack);                                           \
                                                                                                   \
		if (status_ == 0) {                                                                \
			status_ = (call);                                                          \
			instance_leave(stack);                                                     \
		}                                                                                  \
		status_;                                                                           \
	})

/* The same for a call that would have to wait: it is made once more after a look for input. */
#define INSIDE_OR_AFTER_INPUT(stack, entered, call)                                                \
	({                                                                                         \
		__typeof__(call) status_ = (entered);                                              \
                                                                                                   \
		if (status_ == 0) {                                                                \
			for (int looks = 0; (status_ = (call)) == -EAGAIN && looks == 0; looks++)  \
				look_for_input(stack);                                             \
			instance_leave(stack);                                                     \
		}                                                                                  \
		status_;                                                                           \
	})

/* The same for a call that changes nothing, so that there is nothing to be sent. */
#define LOOKING(stack, call)                                                                       \
	({                                                                                         \
		__typeof__(call) status_ = instance_enter(stack);                                  \
                                                                                                   \
		if (status_ == 0) {                                                                \
			status_ = (call);                                                          \
			instance_unlock(stack);                                                    \
		}                                                                                  \
		status_;                                                                           \
	})

/* A call on a socket, unless its connection has been given back meanwhile. */
#define OF(socket, call) ((socket)->state == SOCKET_GIVEN ? -ESTALE : (call))

/* Frames that the device has, and segments that this process sends to itself. */
static void look_for_input(struct stack *stack)
{
	instance_receive(stack);
	loop_deliver(stack);
}

static int route(struct stack *stack, const struct sockaddr *remote, void **listener)
{
	return LOOKING(stack, network_route(stack, remote, listener));
}

static bool port_in_use(struct stack *stack, const struct sockaddr *local)
{
	return INSIDE(stack, (int)ports_in_use(local)) > 0;
}

static int create(struct stack *stack, int domain, bool v6only, void *user,
		  struct stack_socket **socket)
{
	return INSIDE(stack, socket_create(stack, domain, v6only, user, socket));
}

static void set_user(struct stack_socket *socket, void *user)
{
	struct stack *stack = socket->stack;

	if (instance_enter(stack))
		return;
	socket->user = user;
	instance_leave(stack);
}

static int start_listening(struct stack_socket *socket, const struct sockaddr *local, int backlog)
{
	return INSIDE(socket->stack, OF(socket, listen_start(socket, local, backlog)));
}

static int take_connection(struct stack_socket *listener, struct stack_socket **socket,
			   struct sockaddr_storage *peer)
{
	return INSIDE_OR_AFTER_INPUT(listener->stack, enter(listener->stack),
				     OF(listener, listen_accept(listener, socket, peer)));
}

static int advance_connect(struct stack_socket *socket, const struct sockaddr *local,
			   const struct sockaddr *remote)
{
	return INSIDE(socket->stack, OF(socket, connect_advance(socket, local, remote)));
}

static ssize_t receive(struct stack_socket *socket, const struct iovec *iov, size_t count,
		       int flags)
{
	return INSIDE_OR_AFTER_INPUT(socket->stack, enter(socket->stack),
				     OF(socket, receive_data(socket, iov, count, flags)));
}

static int received_at(struct stack_socket *socket, struct timespec *time)
{
	return LOOKING(socket->stack, OF(socket, receive_time(socket, time)));
}

static ssize_t send_some(struct stack_socket *socket, const struct iovec *iov, size_t count,
			 int flags)
{
	return INSIDE_OR_AFTER_INPUT(socket->stack, enter_to_send(socket, flags),
				     OF(socket, send_data(socket, iov, count, flags)));
}

static int shut_down(struct stack_socket *socket, int how)
{
	return INSIDE(socket->stack, OF(socket, socket_shut_down(socket, how)));
}

static int renew_tap(struct stack *stack, int tap)
{
	return LOOKING(stack, stack->link->operations->renew(stack->link, tap));
}

static uint32_t path_changes(const struct stack *stack)
{
	return atomic_load(&stack->host.path_changes);
}

static void adopt_begin(struct stack *stack)
{
	early_frames_begin(&stack->host.early);
}

/* Without the lock the loan is over as well; what has waited is freed after the next one. */
static void adopt_end(struct stack *stack)
{
	if (instance_enter(stack)) {
		atomic_fetch_sub(&stack->host.early.loans, 1);
		return;
	}
	stack->counters.rx_drops_foreign += early_frames_end(&stack->host.early);
	instance_unlock(stack);
}

static int adopt_with_early(struct stack *stack, int domain, bool v6only, void *user,
			    const struct connection_state *state, struct stack_socket **socket)
{
	int status = adopt_connection(stack, domain, v6only, user, state, socket);

	if (status == 0)
		instance_receive_early(stack);
	return status;
}

static int adopt(struct stack *stack, int domain, bool v6only, void *user,
		 const struct connection_state *state, struct stack_socket **socket)
{
	return INSIDE(stack, adopt_with_early(stack, domain, v6only, user, state, socket));
}

static int give(struct stack_socket *socket, struct connection_state *state)
{
	memset(state, 0, sizeof(*state));
	return INSIDE(socket->stack, OF(socket, adopt_give(socket, state)));
}

static void release(struct stack_socket *socket)
{
	struct stack *stack = socket->stack; /* the socket is gone before the lock is let go of */

	(void)INSIDE(stack, (socket_release(socket), 0));
}

static int ended(struct stack_socket *socket)
{
	return LOOKING(socket->stack, OF(socket, (int)socket->fin_received));
}

static int exchange_error(struct stack_socket *socket, int error)
{
	return INSIDE(socket->stack, OF(socket, socket_exchange_error(socket, error)));
}

static int name(struct stack_socket *socket, bool peer, struct sockaddr_storage *address)
{
	return INSIDE(socket->stack, OF(socket, socket_address(socket, peer, address)));
}

static int get_option(struct stack_socket *socket, int level, int option, void *value,
		      socklen_t *length)
{
	return INSIDE(socket->stack, OF(socket, options_get(socket, level, option, value, length)));
}

static int set_option(struct stack_socket *socket, int level, int option, const void *value,
		      socklen_t length)
{
	return INSIDE(socket->stack, OF(socket, options_set(socket, level, option, value, length)));
}

static int capture(struct stack *stack, struct capture_ring *ring)
{
	return INSIDE(stack, capture_set(stack, ring));
}

__attribute__((visibility("default"))) const struct stack_operations melin_stack_operations = {
	.abi = STACK_ABI,
	.size = sizeof(struct stack_operations),
	.open = lifetime_open,
	.check = lifetime_check,
	.close = lifetime_close,
	.farewell = background_farewell,
	.abandon = lifetime_abandon,
	.poll = instance_poll,
	.catch_up = instance_catch_up,
	.watch_begin = background_watch_begin,
	.watch_end = background_watch_end,
	.counters = instance_counters,
	.capture = capture,
	.route = route,
	.port_in_use = port_in_use,
	.socket_create = create,
	.set_user = set_user,
	.listen = start_listening,
	.accept = take_connection,
	.connect = advance_connect,
	.receive = receive,
	.received_at = received_at,
	.send = send_some,
	.shutdown = shut_down,
	.adopt_begin = adopt_begin,
	.adopt_end = adopt_end,
	.adopt = adopt,
	.give = give,
	.release = release,
	.ended = ended,
	.exchange_error = exchange_error,
	/* Without the lock: */
	.renew_tap = renew_tap,
	.path_changes = path_changes,
	.return_reason = adopted_reason,
	.losses = adopted_losses,
	.readiness = readiness_now,
	.readable = readiness_readable,
	.unsent = readiness_unsent,
	.urgent = readiness_urgent,
	.name = name,
	.get_option = get_option,
	.set_option = set_option,
};
