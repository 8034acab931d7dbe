/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many threads in one instance, with the background thread, in real time: each has a connection
 * within the process and echoes over it, while another looks at counters, polls and offers to
 * watch. Built with -fsanitize=thread it shows races; without, lost data and deadlocks.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/unit/stack/common.h"

#define THREADS	 4
#define MESSAGES 1000
#define SIZE	 700

static _Atomic unsigned echoes, wrong;
static _Atomic bool finished;

/* Reads all of size bytes; polls as preload's waiting does. */
static bool read_all(struct stack_socket *socket, unsigned char *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		struct iovec iov = { .iov_base = data + done, .iov_len = size - done };
		ssize_t count = ops->receive(socket, &iov, 1, 0);

		if (count > 0) {
			done += (size_t)count;
		} else if (count == -EAGAIN) {
			ops->poll(stack);
			sched_yield();
		} else {
			return false;
		}
	}
	return true;
}

static bool write_all(struct stack_socket *socket, unsigned char *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		struct iovec iov = { .iov_base = data + done, .iov_len = size - done };
		ssize_t count = ops->send(socket, &iov, 1, 0);

		if (count > 0)
			done += (size_t)count;
		else if (count == -EAGAIN)
			sched_yield();
		else
			return false;
	}
	return true;
}

static void *echo(void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;
	struct stack_socket *listener, *client, *server;
	struct sockaddr_storage peer;
	struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)(3000 + number)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	unsigned char out[SIZE], in[SIZE];

	ops->socket_create(stack, AF_INET, false, NULL, &listener);
	ops->socket_create(stack, AF_INET, false, NULL, &client);
	ops->listen(listener, (struct sockaddr *)&name, 1);
	ops->connect(client, NULL, (struct sockaddr *)&name);
	while (ops->accept(listener, &server, &peer) == -EAGAIN)
		sched_yield();
	for (unsigned i = 0; i < MESSAGES; i++) {
		memset(out, (int)(number * 16 + i), sizeof(out));
		if (!write_all(client, out, SIZE) || !read_all(server, in, SIZE) ||
		    !write_all(server, in, SIZE) || !read_all(client, in, SIZE))
			break;
		if (memcmp(in, out, SIZE) != 0)
			wrong++;
		echoes++;
	}
	ops->release(client);
	ops->release(server);
	ops->release(listener);
	return NULL;
}

static void *look(void *argument)
{
	struct stack_counters counters;
	unsigned looks = 0; /* from none to many */
	uint64_t deadline;

	(void)argument;
	while (!finished) {
		ops->counters(stack, &counters);
		ops->poll(stack);
		if (ops->watch_begin(stack, looks++, &deadline) >= 0)
			ops->watch_end(stack, false);
		usleep(100);
	}
	return NULL;
}

/* ---- what has been shown is reported to who catches up ---- */

static struct test_socket report_listener, report_client, report_server;
static _Atomic bool in_report, has_looked, reported;

/* As preload's callback does it, but on a processor that is taken away in the middle. */
static void report_slowly(void *user, uint32_t events)
{
	on_event(user, events);
	if (user != &report_client || !(events & EPOLLIN))
		return;
	in_report = true;
	while (!has_looked)
		sched_yield();
	usleep(50000);
	reported = true;
}

static void *send_one(void *argument)
{
	(void)argument;
	put(&report_server, "x", 1, 0);
	return NULL;
}

static void test_catch_up(void)
{
	pthread_t sender;
	bool shown, busy;
	char got;

	make_pair(&report_listener, &report_client, &report_server, 900);
	pthread_create(&sender, NULL, send_one, NULL);
	while (!in_report)
		sched_yield();
	shown = ready(&report_client) & EPOLLIN;
	busy = ops->poll(stack) == -EBUSY;
	tap_ok(shown && busy && !reported, "data is shown while it is being reported");
	has_looked = true;
	ops->catch_up(stack);
	tap_ok(reported, "and reported to who catches up");
	pthread_join(sender, NULL);
	get(&report_client, &got, 1, 0);
	drop(&report_client);
	drop(&report_server);
	drop(&report_listener);
}

int main(void)
{
	struct stack_callbacks slow = callbacks;
	struct stack_config config = { .device = "loop" };
	struct stack_counters counters = { 0 };
	pthread_t threads[THREADS], looker;
	struct reason reason = { "" };

	slow.event = report_slowly;
	if (ops->open(&config, &slow, &stack, &reason))
		return 1;
	test_catch_up();
	pthread_create(&looker, NULL, look, NULL);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, echo, (void *)i);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	finished = true;
	pthread_join(looker, NULL);
	tap_ok(echoes == THREADS * MESSAGES, "%u echoes", (unsigned)echoes);
	tap_ok(wrong == 0, "all as they were sent");
	ops->close(stack, 100, &counters);
	tap_ok(counters.connects == THREADS + 1 && counters.accepts == THREADS + 1,
	       "the counters agree");
	tap_ok(counters.rx_payload == 1 + 2ull * THREADS * MESSAGES * SIZE &&
		       counters.tx_payload == counters.rx_payload,
	       "to the byte");
	return tap_done();
}
