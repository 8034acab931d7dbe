/* SPDX-License-Identifier: BSD-3-Clause */
/* See fake_stack.h. */
#include "fake_stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define VISIBLE __attribute__((visibility("default")))

VISIBLE struct fake_stack fake_stack = { .device = -1 };

static struct fake_socket *fake(struct stack_socket *socket)
{
	return (struct fake_socket *)socket;
}

VISIBLE void fake_stack_report(struct fake_socket *socket, uint32_t events)
{
	atomic_fetch_or(&socket->ready, events);
	fake_stack.callbacks.lock_enter();
	if (socket->user)
		fake_stack.callbacks.event(socket->user, events);
	fake_stack.callbacks.lock_leave();
}

static int open_stack(const struct stack_config *config, const struct stack_callbacks *callbacks,
		      struct stack **stack, struct reason *reason)
{
	(void)config;
	fake_stack.opens++;
	if (fake_stack.open_error)
		return reason_set(reason, fake_stack.open_error, "the test says no");
	fake_stack.callbacks = *callbacks;
	*stack = (struct stack *)&fake_stack;
	return 0;
}

static int check(const struct stack_config *config, struct reason *reason)
{
	(void)config;
	(void)reason;
	return 0;
}

static void close_stack(struct stack *stack, unsigned linger_ms, struct stack_counters *counters)
{
	(void)stack;
	(void)linger_ms;
	memset(counters, 0, sizeof(*counters));
}

static void abandon(struct stack *stack)
{
	(void)stack;
}

static int poll_device(struct stack *stack)
{
	(void)stack;
	fake_stack.polls++;
	if (fake_stack.on_poll)
		fake_stack.on_poll();
	return fake_stack.poll_result;
}

static void catch_up(struct stack *stack)
{
	(void)stack;
	fake_stack.catch_ups++;
}

static int watch_begin(struct stack *stack, unsigned slept, uint64_t *deadline_ns)
{
	struct timespec now;

	(void)stack;
	(void)slept;
	clock_gettime(CLOCK_MONOTONIC, &now);
	*deadline_ns = UINT64_MAX;
	if (fake_stack.timer_ns)
		*deadline_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec +
			       fake_stack.timer_ns;
	if (fake_stack.device < 0)
		return -ENOTSUP;
	if (atomic_exchange(&fake_stack.is_watched, true)) {
		fake_stack.refused_watches++;
		return -EBUSY;
	}
	fake_stack.watches++;
	return fake_stack.device;
}

static void watch_end(struct stack *stack, bool looked_after)
{
	(void)stack;
	(void)looked_after;
	fake_stack.is_watched = false;
}

static void read_counters(struct stack *stack, struct stack_counters *counters)
{
	(void)stack;
	memset(counters, 0, sizeof(*counters));
}

static int route(struct stack *stack, const struct sockaddr *remote, void **listener)
{
	(void)stack;
	(void)remote;
	if (listener)
		*listener = NULL;
	return fake_stack.route_error;
}

static bool port_in_use(struct stack *stack, const struct sockaddr *local)
{
	(void)stack;
	(void)local;
	return false;
}

static int create(struct stack *stack, int domain, bool v6only, void *user,
		  struct stack_socket **socket)
{
	struct fake_socket *made = calloc(1, sizeof(*made));

	(void)stack;
	(void)domain;
	(void)v6only;
	if (!made)
		return -ENOMEM;
	made->user = user;
	fake_stack.creates++;
	fake_stack.last = made;
	*socket = (struct stack_socket *)made;
	return 0;
}

static void set_user(struct stack_socket *socket, void *user)
{
	fake(socket)->user = user;
}

static int start_listening(struct stack_socket *socket, const struct sockaddr *local, int backlog)
{
	(void)local;
	(void)backlog;
	fake(socket)->listens = true;
	fake_stack.listens++;
	return 0;
}

static int accept_one(struct stack_socket *listener, struct stack_socket **socket,
		      struct sockaddr_storage *peer)
{
	if (fake(listener)->queue == 0)
		return -EAGAIN;
	if (--fake(listener)->queue == 0)
		fake(listener)->ready &= ~(uint32_t)EPOLLIN;
	memset(peer, 0, sizeof(*peer));
	peer->ss_family = AF_INET;
	create(NULL, AF_INET, false, NULL, socket);
	fake(*socket)->ready = EPOLLOUT;
	return 0;
}

/* The first time it begins, then it is under way until the test makes the socket writable. */
static int start_connecting(struct stack_socket *socket, const struct sockaddr *local,
			    const struct sockaddr *remote)
{
	(void)local;
	(void)remote;
	if (fake(socket)->ready & EPOLLOUT)
		return 0;
	if (fake(socket)->connects)
		return -EALREADY;
	fake(socket)->connects = true;
	fake_stack.connects++;
	return -EINPROGRESS;
}

static ssize_t receive(struct stack_socket *socket, const struct iovec *iov, size_t count,
		       int flags)
{
	size_t done = 0;

	(void)flags;
	for (size_t i = 0; i < count && done < fake(socket)->bytes; i++) {
		size_t part = fake(socket)->bytes - done;

		part = part < iov[i].iov_len ? part : iov[i].iov_len;
		memset(iov[i].iov_base, 'x', part);
		done += part;
	}
	fake(socket)->bytes -= (unsigned)done;
	if (fake(socket)->bytes == 0)
		fake(socket)->ready &= ~(uint32_t)EPOLLIN;
	return done ? (ssize_t)done : -EAGAIN;
}

static ssize_t send_all(struct stack_socket *socket, const struct iovec *iov, size_t count,
			int flags)
{
	size_t bytes = 0;

	(void)socket;
	(void)flags;
	for (size_t i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	return (ssize_t)bytes;
}

static int shut_down(struct stack_socket *socket, int how)
{
	(void)socket;
	(void)how;
	return 0;
}

/* The memory stays: the test may still look at it. */
static void release(struct stack_socket *socket)
{
	fake(socket)->user = NULL;
	fake_stack.releases++;
}

static uint32_t readiness(const struct stack_socket *socket)
{
	return ((const struct fake_socket *)socket)->ready;
}

static size_t readable(const struct stack_socket *socket)
{
	return ((const struct fake_socket *)socket)->bytes;
}

static size_t unsent(const struct stack_socket *socket)
{
	(void)socket;
	return 0;
}

static size_t urgent(const struct stack_socket *socket)
{
	(void)socket;
	return SIZE_MAX;
}

static int name(struct stack_socket *socket, bool peer, struct sockaddr_storage *result)
{
	(void)socket;
	(void)peer;
	memset(result, 0, sizeof(*result));
	result->ss_family = AF_INET;
	return 0;
}

static int get_option(struct stack_socket *socket, int level, int option, void *value,
		      socklen_t *length)
{
	(void)socket;
	(void)level;
	(void)option;
	(void)value;
	(void)length;
	return -ENOPROTOOPT;
}

static int set_option(struct stack_socket *socket, int level, int option, const void *value,
		      socklen_t length)
{
	(void)socket;
	(void)level;
	(void)option;
	(void)value;
	(void)length;
	return 0;
}

VISIBLE const struct stack_operations melin_stack_operations = {
	.abi = STACK_ABI,
	.size = sizeof(struct stack_operations),
	.open = open_stack,
	.check = check,
	.close = close_stack,
	.farewell = close_stack,
	.abandon = abandon,
	.poll = poll_device,
	.catch_up = catch_up,
	.watch_begin = watch_begin,
	.watch_end = watch_end,
	.counters = read_counters,
	.route = route,
	.port_in_use = port_in_use,
	.socket_create = create,
	.set_user = set_user,
	.listen = start_listening,
	.accept = accept_one,
	.connect = start_connecting,
	.receive = receive,
	.send = send_all,
	.shutdown = shut_down,
	.release = release,
	.readiness = readiness,
	.readable = readable,
	.unsent = unsent,
	.urgent = urgent,
	.name = name,
	.get_option = get_option,
	.set_option = set_option,
};
