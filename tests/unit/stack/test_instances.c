/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several stacks in a process: one after another in a copy of the module, a forked child's own
 * after its parent's, and two at the same time, each in a copy of its own. Not for threads within
 * one stack: test_threads.c.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "tests/unit/stack/common.h"

#define PORT 7000

/* A request and its answer between two ends. Returns whether both are as they should be. */
static bool exchange(struct test_socket *client, struct test_socket *server)
{
	char data[16] = "";

	return put(client, "request", 7, 0) == 7 && get(server, data, sizeof(data), 0) == 7 &&
	       !memcmp(data, "request", 7) && put(server, "answer", 6, 0) == 6 &&
	       get(client, data, sizeof(data), 0) == 6 && !memcmp(data, "answer", 6);
}

static void one_after_another(void)
{
	struct test_socket listener, client, server;
	struct stack_counters counters;
	size_t used;

	open_loop();
	used = stack->allocation.used;
	make_pair(&listener, &client, &server, PORT);
	tap_ok(exchange(&client, &server), "a first stack serves a connection");
	put(&client, "unread", 6, 0);
	ops->close(stack, 0, &counters);
	tap_ok(counters.accepts == 1 && counters.rx_segments > 0, "and tells of it at its end");

	open_loop();
	ops->counters(stack, &counters);
	tap_ok(counters.accepts == 0 && counters.rx_segments == 0,
	       "the next one begins at nothing");
	tap_ok(!stack->index.counts.active && !stack->index.counts.timewait &&
		       !stack->index.counts.listeners && melin_index_check() == 0,
	       "with no connection of the first");
	tap_ok(stack->allocation.used <= used, "nor memory");
	make_pair(&listener, &client, &server, PORT);
	tap_ok(exchange(&client, &server), "and serves one from and to the same ends");
}

/* With the stack of one_after_another(), and a connection in it. */
static void second_in_one_copy(void)
{
	struct stack_config config = { .device = "loop" };
	struct stack *second;
	struct reason reason = { "" };

	tap_ok(ops->open(&config, &callbacks, &second, &reason) == -EALREADY,
	       "a copy has one stack at a time: %s", reason.text);
}

static void child_of_its_own(void)
{
	struct test_socket listener, client, server;
	int status = -1;
	pid_t child;

	make_pair(&listener, &client, &server, PORT + 1);
	child = fork();
	if (child == 0) {
		struct test_socket own_listener, own_client, own_server;
		bool good;

		ops->abandon(stack);
		open_loop();
		good = !stack->index.counts.active && !stack->index.counts.listeners;
		make_pair(&own_listener, &own_client, &own_server, PORT + 1);
		/* Long enough that the parent's would send something again. */
		put(&own_client, "x", 1, 0);
		for (unsigned i = 0; i < 30; i++) {
			usleep(10000);
			ops->poll(stack);
		}
		good = good && get(&own_server, &(char){ 0 }, 1, 0) == 1 &&
		       exchange(&own_client, &own_server) && melin_index_check() == 0;
		_exit(good ? 0 : 1);
	}
	waitpid(child, &status, 0);
	tap_ok(status == 0, "a forked child has a stack of its own, without its parent's sockets");
	tap_ok(exchange(&client, &server), "and the parent's connection goes on");
}

/* ---- two at once ---- */

/* A copy of the module, and a connection within it. */
struct copy {
	const struct stack_operations *operations;
	struct stack *stack;
	struct test_socket listener, client, server;
	unsigned exchanged;
};

/* dlopen() gives the same handle for the same file: each copy needs a file of its own. */
static const struct stack_operations *load_copy(void)
{
	char name[] = "/tmp/melin-test-XXXXXX";
	int from = open(MODULE, O_RDONLY | O_CLOEXEC), to = mkstemp(name);
	struct stat status;
	void *module = NULL;

	if (from >= 0 && to >= 0 && fstat(from, &status) == 0) {
		while (copy_file_range(from, NULL, to, NULL, (size_t)status.st_size, 0) > 0)
			;
		module = dlopen(name, RTLD_NOW | RTLD_LOCAL);
		if (!module)
			printf("# %s\n", dlerror());
	}
	unlink(name);
	close(from);
	close(to);
	return module ? dlsym(module, "melin_stack_operations") : NULL;
}

static bool open_copy(struct copy *copy)
{
	struct stack_config config = { .device = "loop" };
	struct reason reason = { "" };

	copy->operations = load_copy();
	return copy->operations &&
	       copy->operations->open(&config, &callbacks, &copy->stack, &reason) == 0;
}

static int listen_in(struct copy *copy, uint16_t port)
{
	struct test_socket *listener = &copy->listener;

	if (copy->operations->socket_create(copy->stack, AF_INET, false, listener,
					    &listener->handle))
		return -1;
	return copy->operations->listen(listener->handle, address4("127.0.0.1", port), 8);
}

static int connect_in(struct copy *copy, uint16_t port)
{
	struct test_socket *client = &copy->client;

	if (!client->handle &&
	    copy->operations->socket_create(copy->stack, AF_INET, false, client, &client->handle))
		return -1;
	copy->operations->connect(client->handle, NULL, address4("127.0.0.1", port));
	return copy->operations->connect(client->handle, NULL, address4("127.0.0.1", port));
}

static void *run_copy(void *argument)
{
	struct copy *copy = argument;
	const struct stack_operations *own = copy->operations;
	char data[1000];
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };

	for (unsigned i = 0; i < 5000; i++) {
		memset(data, (char)i, sizeof(data));
		if (own->send(copy->client.handle, &iov, 1, 0) != sizeof(data))
			break;
		data[0]++;
		if (own->receive(copy->server.handle, &iov, 1, 0) != sizeof(data) ||
		    data[0] != (char)i || data[999] != (char)i)
			break;
		copy->exchanged++;
	}
	return NULL;
}

static void two_at_once(void)
{
	static struct copy copies[2];
	struct sockaddr_storage peer;
	struct stack_counters counters;
	pthread_t thread;

	if (!open_copy(&copies[0]) || !open_copy(&copies[1])) {
		tap_ok(false, "two copies of the module, each with a stack");
		return;
	}
	tap_ok(copies[0].operations != copies[1].operations, "two copies, each with a stack");
	listen_in(&copies[0], PORT);
	tap_ok(connect_in(&copies[1], PORT) == -ECONNREFUSED,
	       "a listener in the first is none in the second");
	tap_ok(listen_in(&copies[1], PORT) == 0, "which may have one of the same address and port");
	for (unsigned i = 0; i < 2; i++) {
		tap_ok(connect_in(&copies[i], PORT) == 0 &&
			       copies[i].operations->accept(copies[i].listener.handle,
							    &copies[i].server.handle, &peer) == 0,
		       "a connection in copy %u", i);
	}
	pthread_create(&thread, NULL, run_copy, &copies[0]);
	run_copy(&copies[1]);
	pthread_join(thread, NULL);
	tap_ok(copies[0].exchanged == 5000 && copies[1].exchanged == 5000,
	       "two threads, each in its own: %u and %u exchanges", copies[0].exchanged,
	       copies[1].exchanged);
	for (unsigned i = 0; i < 2; i++) {
		copies[i].operations->close(copies[i].stack, 0, &counters);
		tap_ok(counters.accepts == 1, "copy %u has accepted one", i);
	}
}

int main(void)
{
	one_after_another();
	second_in_one_copy();
	child_of_its_own();
	two_at_once();
	return tap_done();
}
