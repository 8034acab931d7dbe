/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decides whose a flow is: with connect(2) or listen(2) a socket becomes the stack's or libc's, and
 * before that it is nobody's. Not for the calls on a socket that is decided, nor for listeners
 * before their first use (pending.c).
 */
#include "preload/sockets/flow.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>

#include "preload/config/address.h"
#include "preload/config/advice.h"
#include "preload/libc/monotonic.h"
#include "preload/config/config.h"
#include "preload/waiting/epoll.h"
#include "preload/config/host_addresses.h"
#include "preload/config/log.h"
#include "preload/config/rules.h"
#include "preload/libc/program_memory.h"
#include "preload/sockets/twin_options.h"
#include "preload/sockets/listener.h"
#include "preload/sockets/pending.h"
#include "preload/sockets/socket_object.h"
#include "preload/sockets/stack_half.h"
#include "preload/libc/symbols.h"
#include "common/system_call.h"

/* ---- the decision and its end ---- */

/*
 * Claims the socket behind a descriptor, so that no other thread decides it: then *state is
 * UNDECIDED, and the socket's state is DECIDING. If it is decided by now, *state is its state.
 * Returns a reference in both cases; NULL: the descriptor is no TCP socket's, or there is no
 * memory. A socket that melin has not seen made, since it was inherited or received, gets its
 * object here.
 */
static struct socket *claim(int descriptor, enum socket_state *state)
{
	struct socket *socket = socket_get_any(descriptor);

	if (!socket) {
		socket = socket_allocate_for(descriptor);
		if (!socket)
			return NULL;
		twin_options_assume(socket);
		atomic_store(&socket->reach, TWIN_PASSED);
		descriptor_install(descriptor, &socket->object);
	}
	*state = SOCKET_UNDECIDED;
	/* Another thread may be deciding the same socket, which does not take long. */
	while (!atomic_compare_exchange_weak(&socket->state, state, SOCKET_DECIDING)) {
		if (*state != SOCKET_DECIDING && *state != SOCKET_UNDECIDED)
			return socket;
		*state = SOCKET_UNDECIDED;
		sched_yield();
	}
	return socket;
}

/*
 * The flow is libc's for good. The socket is forgotten, so that calls on it cost a look at the
 * table and no more.
 */
static void leave(struct socket *socket, int descriptor, enum flow_count why)
{
	flow_counted_at(descriptor, why, 0);
	socket_leave_to_kernel(socket, descriptor);
}

/* The call has failed and decides nothing: the next connect() or listen() will. */
static void undo(struct socket *socket)
{
	atomic_store(&socket->state, SOCKET_UNDECIDED);
}

/*
 * Whether the kernel's socket is in use: the kernel has accepted it, or has connected it out of
 * melin's sight (before an exec, in another process, or by MSG_FASTOPEN). Only a socket that does
 * nothing can be decided; may_listen: or one that listens, which listen(2) may be called on again.
 */
static bool is_in_use(int descriptor, bool may_listen)
{
	const unsigned char state = socket_state_in_kernel(descriptor);

	return state != TCP_CLOSE && !(may_listen && state == TCP_LISTEN);
}

static bool is_own(const struct ip_address *address)
{
	const struct stack_config *stack = &config_get()->stack;

	for (unsigned i = 0; i < stack->address_count; i++)
		if (address_equal(&stack->addresses[i], address))
			return true;
	return false;
}

static void log_flow(const char *what, const struct ip_address *address, uint16_t port,
		     const char *verdict)
{
	char text[ADDRESS_TEXT_SIZE];

	if (log_enabled(LOG_LEVEL_DEBUG))
		log_write(LOG_LEVEL_DEBUG, "%s %s port %u: %s", what, address_format(address, text),
			  port, verdict);
}

/* Notes whether calls on the socket are to block, which is melin's business from now on. */
static void adopt_blocking(struct socket *socket, int descriptor)
{
	int flags = libc()->fcntl(descriptor, F_GETFL, 0L);

	atomic_store(&socket->nonblocking, flags >= 0 && (flags & O_NONBLOCK));
}

/* ---- connect ---- */

/* The name that the program has bound the socket to, or NULL if to none. */
static const struct sockaddr *bound_name(int descriptor, struct sockaddr_storage *name,
					 struct ip_address *address)
{
	uint16_t port = 0;

	return socket_local_name(descriptor, name, address, &port) &&
			       (!address_is_any(address) || port)
		       ? (struct sockaddr *)name
		       : NULL;
}

/*
 * Whether the stack is to carry a connection to remote. 0: it is; a negative errno value: it
 * cannot, for that reason; 1: it could, but the connection is to go by the kernel.
 */
static int servable(const struct instance *instance, const struct sockaddr *remote,
		    const struct ip_address *address, const struct sockaddr *local,
		    const struct ip_address *local_address)
{
	struct socket *listener = NULL;
	int result;

	if (local && !address_is_any(local_address) && !is_own(local_address) &&
	    !(address_is_loopback(local_address) && address_is_loopback(address)))
		return -EADDRNOTAVAIL;
	if (!is_own(address) && !address_is_loopback(address) && host_has(address))
		return -EADDRNOTAVAIL;
	result = instance->operations->route(instance->stack, remote, (void **)&listener);
	/*
	 * Another process has the listener, too. The connection goes by the kernel, so that either
	 * process can accept it. The listener may be closed by now, but the memory of an object is
	 * never used for anything else.
	 */
	if (result == 0 && listener && address_is_loopback(address) &&
	    listener_is_others_too(listener))
		return 1;
	return result;
}

/*
 * The end of a connect(2) that has begun. With a socket that blocks the call waits for the outcome;
 * with another one it returns EINPROGRESS, as result says.
 */
static int await_connection(struct socket *socket, int result)
{
	uint64_t timeout = atomic_load(&socket->send_timeout);
	int started = result;

	if ((result != -EINPROGRESS && result != -EALREADY) || atomic_load(&socket->nonblocking))
		return result;
	result = socket_wait(socket, EPOLLOUT | EPOLLERR | EPOLLHUP,
			     timeout ? clock_after(timeout) : CLOCK_NEVER);
	if (result == 0)
		return started; /* the time of SO_SNDTIMEO is over */
	if (result < 0)
		return result;
	return socket->instance->operations->connect(socket->handle, NULL, NULL);
}

static int connect_through_stack(struct socket *socket, int descriptor,
				 const struct instance *instance, const struct sockaddr *local,
				 const struct sockaddr *remote)
{
	int result = stack_half_create(socket, descriptor, instance);

	if (result < 0) {
		undo(socket);
		return result;
	}
	adopt_blocking(socket, descriptor);
	result = instance->operations->connect(socket->handle, local, remote);
	if (result < 0 && result != -EINPROGRESS) {
		stack_half_drop(socket);
		undo(socket);
		return result;
	}
	flow_counted(FLOW_TAKEN_CONNECT);
	atomic_store_explicit(&socket->state, SOCKET_CONNECTION, memory_order_release);
	epoll_taken_by_stack(&socket->object);
	return await_connection(socket, result);
}

/* From the name that bind(2) has given it since the end of its last connection, if it has. */
static int connect_again(struct socket *socket, int descriptor, const struct sockaddr *remote)
{
	struct sockaddr_storage name;
	struct ip_address address;
	const struct sockaddr *local = NULL;
	int result;

	if (atomic_load(&socket->rebound))
		local = bound_name(descriptor, &name, &address);
	result = socket->instance->operations->connect(socket->handle, local, remote);
	if (result == 0 || result == -EINPROGRESS)
		atomic_store(&socket->rebound, false);
	return await_connection(socket, result);
}

/* connect(2) on a socket whose flow is decided. False: it is libc's to do. */
static bool connect_decided(struct socket *socket, int descriptor, enum socket_state state,
			    const struct sockaddr *remote, int *result)
{
	if (state == SOCKET_KERNEL || (state == SOCKET_CONNECTION && !socket_instance(socket)))
		return false;
	if (state == SOCKET_CONNECTION)
		*result = connect_again(socket, descriptor, remote);
	else
		*result = -EISCONN; /* a listener */
	return true;
}

/* connect(2) of a flow that a rule selects. False: libc has to carry it after all. */
static bool connect_selected(struct socket *socket, int descriptor, const struct sockaddr *remote,
			     const struct ip_address *address, uint16_t port, int *result)
{
	const struct option *option = twin_options_kernel_only(socket, descriptor, OPTION_CONNECT);
	const struct instance *instance = option ? NULL : process_stack_start();
	struct sockaddr_storage name;
	struct ip_address local_address;
	const struct sockaddr *local;
	enum flow_count why = option ? FLOW_LEFT_OPTION : FLOW_LEFT_STACK;
	int reason = 0;

	if (option) {
		log_flow("connect to", address, port, option->name);
		advice_left_for_option(option->name, RULE_CONNECT, address, port);
	}
	if (instance) {
		why = FLOW_LEFT_ROUTE;
		pending_start(); /* the other end may be a listener that waits for the stack */
		local = bound_name(descriptor, &name, &local_address);
		reason = servable(instance, remote, address, local, &local_address);
		if (reason == 0) {
			*result =
				connect_through_stack(socket, descriptor, instance, local, remote);
			return true;
		}
		/*
		 * Nobody listens at the stack's own address, and no kernel has that address: it is
		 * of no use to ask the kernel, too.
		 */
		if (reason == -ECONNREFUSED && !address_is_loopback(address)) {
			undo(socket);
			*result = reason;
			return true;
		}
		if (reason == -EADDRNOTAVAIL)
			advice_left(ADVICE_LOCAL, RULE_CONNECT, address, port);
		else if (reason == -ENETUNREACH || reason == -EAFNOSUPPORT)
			advice_left(ADVICE_ROUTE, RULE_CONNECT, address, port);
		log_flow("connect to", address, port,
			 reason < 0 ? "the stack has no way there, left to libc"
				    : "a listener of two processes, left to libc");
	}
	if ((config_get()->required && reason <= 0) || process_stack_has_ended()) {
		undo(socket);
		flow_counted(why);
		*result = -ENETDOWN;
		return true;
	}
	leave(socket, descriptor, why);
	return false;
}

/*
 * connect(2) to an address of family AF_UNSPEC dissolves a connection. False: the stack has none of
 * this socket, and the call is libc's.
 */
static bool disconnect(int descriptor, const struct sockaddr *unspecified, int *result)
{
	struct socket *socket = socket_get(descriptor);
	bool done = false;

	if (!socket)
		return false;
	if (atomic_load(&socket->state) == SOCKET_CONNECTION) {
		*result = socket->instance->operations->connect(socket->handle, NULL, unspecified);
		done = true;
	}
	socket_put(socket);
	return done;
}

/*
 * connect(2) to an address that is too short or of another family, which Linux looks at last: a
 * connection has its answer without. False: libc's answer, about the twin, is right.
 */
static bool connect_oddly(int descriptor, int *result)
{
	const struct sockaddr odd = { .sa_family = AF_UNIX };
	struct socket *socket = socket_get(descriptor);
	bool done = false;

	if (!socket)
		return false;
	if (atomic_load(&socket->state) == SOCKET_CONNECTION &&
	    connect_decided(socket, descriptor, SOCKET_CONNECTION, &odd, result))
		done = *result != -EAFNOSUPPORT;
	socket_put(socket);
	return done;
}

/* Linux's connect(2) takes the wildcard address for the loopback address. */
static void become_loopback(struct ip_address *address)
{
	if (address->family == AF_INET6)
		address->v6 = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
	else
		address->v4.s_addr = htonl(INADDR_LOOPBACK);
}

bool flow_connect(int descriptor, const struct sockaddr *remote, socklen_t length, int *result)
{
	struct ip_address address;
	struct socket *socket;
	enum socket_state state = SOCKET_UNDECIDED;
	uint16_t port;
	bool done = false, selected;

	if (length > sizeof(struct sockaddr_storage) || !memory_readable(remote, length))
		return false; /* libc's returns EFAULT or EINVAL */
	if (length >= sizeof(sa_family_t) && remote->sa_family == AF_UNSPEC)
		return disconnect(descriptor, remote, result);
	if (address_from_sockaddr(remote, length, &address, &port) < 0)
		return length >= sizeof(sa_family_t) && connect_oddly(descriptor, result);
	if (address_is_any(&address))
		become_loopback(&address);
	selected = rules_match(&config_get()->flows, RULE_CONNECT, &address, port) == RULE_TAKE;
	if (!selected && !descriptor_known(descriptor))
		return false; /* a datagram socket, most likely */
	socket = claim(descriptor, &state);
	if (!socket)
		return false;
	if (state != SOCKET_UNDECIDED) {
		done = connect_decided(socket, descriptor, state, remote, result);
	} else if (remote->sa_family != socket->domain) {
		undo(socket); /* libc's returns EAFNOSUPPORT */
	} else if (is_in_use(descriptor, false)) {
		leave(socket, descriptor, FLOW_LEFT_RULE); /* libc's returns EISCONN or what fits */
	} else if (selected) {
		advice_check_rules(RULE_CONNECT);
		log_flow("connect to", &address, port, "selected");
		done = connect_selected(socket, descriptor, remote, &address, port, result);
	} else {
		advice_check_rules(RULE_CONNECT);
		log_flow("connect to", &address, port, "not selected");
		advice_left(advice_why_not(RULE_CONNECT, &address, port), RULE_CONNECT, &address,
			    port);
		leave(socket, descriptor, FLOW_LEFT_RULE);
	}
	if (done)
		*result = (int)socket_leave(socket, *result);
	else
		socket_put(socket);
	return done;
}

/* ---- bind ---- */

/*
 * bind(2) of the twin to an address that the kernel does not have, which IP_FREEBIND allows. The
 * program's own IP_FREEBIND is as before afterwards.
 */
static int bind_free(int descriptor, int domain, const struct sockaddr *local, socklen_t length)
{
	int level = domain == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
	int name = domain == AF_INET6 ? IPV6_FREEBIND : IP_FREEBIND;
	const int before = kernel_get_int(descriptor, level, name);
	int result;

	kernel_set_int(descriptor, level, name, 1);
	result = libc()->bind(descriptor, local, length) < 0 ? -errno : 0;
	kernel_set_int(descriptor, level, name, before);
	return result;
}

/*
 * Whether connections of the stack's, whose listener is closed perhaps, hold the port. As in the
 * kernel they do so unless SO_REUSEADDR is set.
 */
static bool held_by_connections(int descriptor, const struct sockaddr *local, uint16_t port)
{
	const struct instance *instance = process_stack_running();

	return instance && port && !kernel_get_int(descriptor, SOL_SOCKET, SO_REUSEADDR) &&
	       instance->operations->port_in_use(instance->stack, local);
}

/*
 * bind(2) once more of a socket whose connection has ended, or was never established: its port is
 * free by then unless the program had chosen it itself, which the twin knows when it has been
 * dissolved. False: the connection has not ended.
 */
static bool may_bind_again(struct socket *socket, int descriptor)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	const struct instance *instance = socket_instance(socket);
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	if (atomic_load(&socket->borrowed) || !instance ||
	    instance->operations->get_option(socket->handle, IPPROTO_TCP, TCP_INFO, &info,
					     &length) < 0 ||
	    info.tcpi_state != TCP_CLOSE)
		return false;
	if (!atomic_load(&socket->rebound))
		kernel_call(SYS_connect, descriptor, (long)&nobody, sizeof(nobody), 0);
	return true;
}

/*
 * The twin is bound in the kernel even if the address is not one of the kernel's. So the port is
 * taken for other programs, by Linux's rules about reuse, and getsockname(2) of the twin tells the
 * name.
 */
bool flow_bind(int descriptor, const struct sockaddr *local, socklen_t length, int *result)
{
	struct ip_address address;
	struct socket *socket;
	uint16_t port;
	bool done = true, again;

	if (!memory_readable(local, length) ||
	    address_from_sockaddr(local, length, &address, &port) < 0)
		return false;
	socket = socket_get_any(descriptor);
	if (!socket)
		return false;
	again = atomic_load(&socket->state) == SOCKET_CONNECTION;
	if (local->sa_family != socket->domain) {
		done = false; /* libc's returns EAFNOSUPPORT or what fits */
	} else if (again && !may_bind_again(socket, descriptor)) {
		*result = -EINVAL;
	} else if (held_by_connections(descriptor, local, port)) {
		*result = -EADDRINUSE;
	} else if (is_own(&address)) {
		*result = bind_free(descriptor, socket->domain, local, length);
	} else if (again) {
		*result = libc()->bind(descriptor, local, length) < 0 ? -errno : 0;
	} else {
		done = false;
	}
	if (again && done && *result == 0)
		atomic_store(&socket->rebound, true);
	socket_put(socket);
	return done;
}

/* ---- listen ---- */

/*
 * Whether rules give a listener at this address to the stack. *dual: whether the kernel serves a
 * half of it, too.
 */
static bool listener_selected(const struct ip_address *address, uint16_t port, bool v6only,
			      bool *dual)
{
	const struct config *config = config_get();
	const struct stack_config *stack = &config->stack;

	*dual = !is_own(address);
	if (*dual && !address_is_any(address) && !address_is_loopback(address))
		return false; /* it is one of the host's addresses, which only the kernel serves */
	return rules_match_listener(&config->flows, address, port, v6only, stack->addresses,
				    stack->address_count) == RULE_TAKE;
}

/* listen(2) on a socket that listens: its backlog changes. False: it is libc's to do. */
static bool listen_again(struct socket *socket, int descriptor, int backlog, int *result)
{
	const struct instance *instance = socket_instance(socket);
	enum socket_state state = atomic_load(&socket->state);

	if (state == SOCKET_KERNEL)
		return false;
	if (state == SOCKET_CONNECTION) {
		*result = -EINVAL;
		return instance != NULL;
	}
	socket->listener.backlog = backlog;
	*result = libc()->listen(descriptor, backlog) < 0 ? -errno : 0;
	if (instance && *result == 0) {
		struct sockaddr_storage local;
		socklen_t length = sizeof(local);

		if (libc()->getsockname(descriptor, (struct sockaddr *)&local, &length) == 0)
			*result = instance->operations->listen(socket->handle,
							       (struct sockaddr *)&local, backlog);
	}
	return true;
}

/*
 * An option is set that only the kernel serves: 1, and the listener is the kernel's; or a negative
 * errno value, since MELIN_REQUIRED does not allow that.
 */
static int listen_in_kernel(struct socket *socket, int descriptor, const struct option *option)
{
	if (config_get()->required) {
		undo(socket);
		flow_counted(FLOW_LEFT_OPTION);
		return -ENETDOWN;
	}
	log_write(LOG_LEVEL_WARN,
		  "listen: %s is set, which only the kernel has; nobody answers at the stack's "
		  "addresses",
		  option->name);
	leave(socket, descriptor, FLOW_LEFT_OPTION);
	return 1;
}

/*
 * The twin listens as well, always. At an address that the kernel does not have nobody can reach
 * it, but so the kernel's rules say who may listen beside whom, and the kernel answers calls on the
 * twin as for a listener.
 */
static int listen_selected(struct socket *socket, int descriptor, int backlog)
{
	const struct option *option = twin_options_kernel_only(socket, descriptor, OPTION_LISTEN);
	int result;

	if (option)
		return listen_in_kernel(socket, descriptor, option);
	if (config_get()->required && !process_stack_can_listen()) {
		process_stack_tell_unanswered();
		flow_counted(FLOW_LEFT_STACK);
		undo(socket);
		return -ENETDOWN;
	}
	if (libc()->listen(descriptor, backlog) < 0) {
		result = -errno;
		undo(socket);
		return result;
	}
	socket->listener.backlog = backlog;
	socket->descriptor = descriptor;
	adopt_blocking(socket, descriptor);
	if (process_stack_running()) {
		result = listener_start(socket, process_stack_running());
		if (result < 0)
			undo(socket);
		return result;
	}
	pending_add(socket);
	listener_wait(socket);
	return 0;
}

bool flow_listen(int descriptor, int backlog, int *result)
{
	struct sockaddr_storage local;
	struct ip_address address = { 0 };
	enum socket_state state = SOCKET_UNDECIDED;
	struct socket *socket;
	uint16_t port = 0;
	bool done = false, known;

	socket = claim(descriptor, &state);
	if (!socket)
		return false;
	if (state != SOCKET_UNDECIDED) {
		done = listen_again(socket, descriptor, backlog, result);
		socket_put(socket);
		return done;
	}
	if (is_in_use(descriptor, true)) {
		leave(socket, descriptor, FLOW_LEFT_RULE); /* libc's returns EINVAL */
		socket_put(socket);
		return false;
	}
	advice_check_rules(RULE_LISTEN);
	/* If the program has not bound the socket the kernel's listen(2) chooses its port. */
	known = socket_local_name(descriptor, &local, &address, &port);
	if (known && port == 0) {
		if (libc()->listen(descriptor, backlog) < 0) {
			*result = -errno;
			undo(socket);
			socket_put(socket);
			return true;
		}
		known = socket_local_name(descriptor, &local, &address, &port);
	}
	if (known &&
	    listener_selected(&address, port, stack_half_v6only(descriptor, socket->domain),
			      &socket->listener.dual)) {
		log_flow("listen on", &address, port,
			 socket->listener.dual ? "selected, dual" : "selected");
		*result = listen_selected(socket, descriptor, backlog);
		done = *result <= 0;
	} else {
		log_flow("listen on", &address, port, "not selected");
		advice_left(advice_why_not(RULE_LISTEN, &address, port), RULE_LISTEN, &address,
			    port);
		leave(socket, descriptor, FLOW_LEFT_RULE);
	}
	socket_put(socket);
	return done;
}

/* ---- sockets that may become the stack's ---- */

static bool may_become_stacks(struct socket *socket, int descriptor)
{
	struct sockaddr_storage local;
	struct ip_address address;
	uint16_t port;
	bool dual;

	if (atomic_load(&socket->state) != SOCKET_UNDECIDED ||
	    !socket_local_name(descriptor, &local, &address, &port))
		return false;
	if (twin_options_kernel_only(socket, descriptor,
				     port == 0 ? OPTION_CONNECT : OPTION_LISTEN))
		return false;
	if (port == 0)
		return rules_take_some_connect(&config_get()->flows);
	return listener_selected(&address, port, stack_half_v6only(descriptor, socket->domain),
				 &dual);
}

bool flow_any_undecided(void)
{
	struct socket *socket;
	bool any = false;

	for (int descriptor = 0; !any && (socket = socket_get_next(&descriptor)); descriptor++) {
		any = may_become_stacks(socket, descriptor);
		socket_put(socket);
	}
	return any;
}
