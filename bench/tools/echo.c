/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An echo server for as many connections as come: one thread, epoll, level-triggered, the way
 * event-driven servers work.
 *
 *     echo ADDRESS PORT [PORTS]      PORTS: how many ports from PORT on (default 1)
 *
 * Prints "ready" when it listens; ends on SIGTERM.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

/* A listener's descriptor is told from a connection's by this bit of the epoll data. */
#define LISTENER (UINT64_C(1) << 32)

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static void watch(int set, int descriptor, uint64_t data)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = data };

	if (epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &event))
		fail("epoll_ctl");
}

static void start_listener(int set, const char *host, unsigned port)
{
	struct sockaddr_in address = address_of(host, port);
	int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (listener < 0)
		fail("socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 4096))
		fail("%s port %u", host, port);
	watch(set, listener, LISTENER | (uint64_t)listener);
}

static void take_connections(int set, int listener)
{
	int connection;

	/* Bounded, so that those who are connected are served meanwhile. */
	for (int i = 0; i < 64; i++) {
		connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (connection < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
				fail("accept4");
			return;
		}
		set_nodelay(connection);
		watch(set, connection, (uint64_t)connection);
	}
}

static void serve(int connection)
{
	static char buffer[65536];
	ssize_t count = read(connection, buffer, sizeof(buffer));

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* What does not fit is not kept: nobody here sends more than fits. */
	if (count <= 0 || write(connection, buffer, (size_t)count) != count)
		close(connection);
}

int main(int count, char **words)
{
	struct sigaction action = { .sa_handler = stop };
	struct epoll_event events[512];
	int set, ready;

	if (count < 3) {
		fprintf(stderr, "usage: echo ADDRESS PORT [PORTS]\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	raise_descriptor_limit();
	set = epoll_create1(0);
	if (set < 0)
		fail("epoll_create1");
	for (int i = 0; i < (count > 3 ? atoi(words[3]) : 1); i++)
		start_listener(set, words[1], (unsigned)(atoi(words[2]) + i));
	puts("ready");
	fflush(stdout);
	while (!stopped) {
		ready = epoll_wait(set, events, 512, -1);
		if (ready < 0 && errno != EINTR)
			fail("epoll_wait");
		for (int i = 0; i < ready; i++) {
			int descriptor = (int)(events[i].data.u64 & ~LISTENER);

			if (events[i].data.u64 & LISTENER)
				take_connections(set, descriptor);
			else
				serve(descriptor);
		}
	}
	return 0;
}
