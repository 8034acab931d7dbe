/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the stack's unit tests share: an instance, sockets and their events, virtual time.
 */
#ifndef MELIN_TEST_STACK_COMMON_H
#define MELIN_TEST_STACK_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stack/lifecycle/background.h"
#include "stack/lifecycle/instance.h"
#include "stack/stack.h"
#include "tests/unit/tap.h"

static const struct stack_operations *ops = &melin_stack_operations;
static struct stack *stack;

/* A socket of a test; what event() said since the last look. */
struct test_socket {
	struct stack_socket *handle;
	uint32_t events;
};

static void on_event(void *user, uint32_t events)
{
	((struct test_socket *)user)->events |= events;
}

static void on_log(enum log_level level, const char *message)
{
	printf("# log %d: %s\n", (int)level, message);
}

/* Virtual time, ns; 0: the tests run in real time. */
static uint64_t virtual_ns;

static int read_clock(clockid_t clock, struct timespec *now)
{
	if (!virtual_ns)
		return clock_gettime(clock, now);
	now->tv_sec = (time_t)(virtual_ns / 1000000000u);
	now->tv_nsec = (long)(virtual_ns % 1000000000u);
	return 0;
}

static const struct stack_callbacks callbacks = {
	.event = on_event,
	.clock = read_clock,
	.log = on_log,
	.log_level = LOG_LEVEL_INFO,
};

__attribute__((unused)) static struct sockaddr *address4(const char *text, uint16_t port)
{
	static struct sockaddr_in ring[8];
	static unsigned next;
	struct sockaddr_in *in = &ring[next++ % 8];

	memset(in, 0, sizeof(*in));
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	inet_pton(AF_INET, text, &in->sin_addr);
	return (struct sockaddr *)in;
}

__attribute__((unused)) static struct sockaddr *address6(const char *text, uint16_t port)
{
	static struct sockaddr_in6 ring[8];
	static unsigned next;
	struct sockaddr_in6 *in = &ring[next++ % 8];

	memset(in, 0, sizeof(*in));
	in->sin6_family = AF_INET6;
	in->sin6_port = htons(port);
	inet_pton(AF_INET6, text, &in->sin6_addr);
	return (struct sockaddr *)in;
}

/* What the stack and the peer of a test begin with in virtual time. */
__attribute__((unused)) static uint32_t first_sequence = 1000;

__attribute__((unused)) static void set_first_sequence(void)
{
	random_simulate_sequence(&stack->random, virtual_ns > 0, first_sequence);
}

__attribute__((unused)) static void open_loop(void)
{
	struct stack_config config = { .device = "loop" };
	struct reason reason = { "" };

	if (ops->open(&config, &callbacks, &stack, &reason)) {
		printf("Bail out! %s\n", reason.text);
		exit(1);
	}
	background_stop(stack);
	set_first_sequence();
}

/* When a test begins, and with which sequence numbers. */
struct start {
	const char *name;
	uint64_t clock_ns;
	uint32_t sequence;
};

/*
 * Just before what wraps: the clock in units of a microsecond and of a millisecond, sequence
 * numbers, each of them with 31 and with 32 bits. The tests last longer than what is left until
 * then.
 */
#define BEFORE_WRAP_NS	  (200ull * 1000000)
#define BEFORE_WRAP_BYTES 5000u
__attribute__((unused)) static const struct start starts[] = {
	{ "nothing is near", 1ull << 62, 1u << 30 },
	{ "31 bits of microseconds", (1ull << 31) * 1000 - BEFORE_WRAP_NS,
	  (1u << 31) - BEFORE_WRAP_BYTES },
	{ "32 bits of microseconds", (1ull << 32) * 1000 - BEFORE_WRAP_NS, -BEFORE_WRAP_BYTES },
	{ "31 bits of milliseconds", (1ull << 31) * 1000000 - BEFORE_WRAP_NS, -1u },
	{ "32 bits of milliseconds", (1ull << 32) * 1000000 - BEFORE_WRAP_NS, (1u << 31) - 1 },
};

/* Virtual time. The background thread sleeps in real time: it is stopped in all these tests. */
__attribute__((unused)) static void start_clock(const struct start *start)
{
	virtual_ns = start->clock_ns;
	first_sequence = start->sequence;
}

__attribute__((unused)) static void advance_clock(uint64_t ns)
{
	virtual_ns += ns;
	clock_update(&stack->clock);
}

/*
 * Runs the tests once for each of the starts, in a process of its own: lwIP's counters begin anew,
 * and nothing is left over. Returns main()'s value.
 */
__attribute__((unused)) static int run_at_each_start(void (*tests)(void))
{
	unsigned *counts =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		pid_t child;

		printf("# %s\n", starts[i].name);
		fflush(stdout);
		child = fork();
		if (child == 0) {
			start_clock(&starts[i]);
			tests();
			counts[0] = tap_count;
			counts[1] = tap_failed;
			fflush(stdout);
			_exit(0);
		}
		waitpid(child, &status, 0);
		tap_count = counts[0];
		tap_failed = counts[1];
		if (status)
			tap_ok(false, "%s: ended with status %d", starts[i].name, status);
	}
	return tap_done();
}

/* Lets time pass, in steps that lwIP's timers can follow. */
__attribute__((unused)) static void pass_ms(unsigned ms)
{
	for (unsigned i = 0; i < ms; i += 10) {
		advance_clock(10 * 1000000ull);
		ops->poll(stack);
	}
}

__attribute__((unused)) static void create(struct test_socket *socket, int domain)
{
	memset(socket, 0, sizeof(*socket));
	if (ops->socket_create(stack, domain, false, socket, &socket->handle)) {
		printf("Bail out! no socket\n");
		exit(1);
	}
}

__attribute__((unused)) static uint32_t take_events(struct test_socket *socket)
{
	uint32_t events = socket->events;

	socket->events = 0;
	return events;
}

__attribute__((unused)) static uint32_t ready(const struct test_socket *socket)
{
	return ops->readiness(socket->handle);
}

__attribute__((unused)) static ssize_t put(struct test_socket *socket, const void *data,
					   size_t size, int flags)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };

	return ops->send(socket->handle, &iov, 1, flags);
}

__attribute__((unused)) static ssize_t get(struct test_socket *socket, void *data, size_t size,
					   int flags)
{
	struct iovec iov = { .iov_base = data, .iov_len = size };

	return ops->receive(socket->handle, &iov, 1, flags);
}

__attribute__((unused)) static int option(struct test_socket *socket, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);
	int status = ops->get_option(socket->handle, level, name, &value, &length);

	return status ? status : value;
}

__attribute__((unused)) static int set(struct test_socket *socket, int level, int name, int value)
{
	return ops->set_option(socket->handle, level, name, &value, sizeof(value));
}

__attribute__((unused)) static bool accept_one(struct test_socket *listener,
					       struct test_socket *accepted)
{
	struct sockaddr_storage peer;

	memset(accepted, 0, sizeof(*accepted));
	if (ops->accept(listener->handle, &accepted->handle, &peer))
		return false;
	ops->set_user(accepted->handle, accepted);
	return true;
}

/* A listener on 127.0.0.1:port, a client connected to it, and the accepted end. */
__attribute__((unused)) static void make_pair(struct test_socket *listener,
					      struct test_socket *client,
					      struct test_socket *server, uint16_t port)
{
	create(listener, AF_INET);
	create(client, AF_INET);
	if (ops->listen(listener->handle, address4("127.0.0.1", port), 8) ||
	    ops->connect(client->handle, NULL, address4("127.0.0.1", port)) != -EINPROGRESS ||
	    ops->connect(client->handle, NULL, address4("127.0.0.1", port)) != 0 ||
	    !accept_one(listener, server)) {
		printf("Bail out! no pair\n");
		exit(1);
	}
	take_events(client);
	take_events(server);
}

__attribute__((unused)) static void drop(struct test_socket *socket)
{
	ops->release(socket->handle);
	socket->handle = NULL;
}

#endif
