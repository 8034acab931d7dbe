/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: one connection used by several threads, sockets that move between them. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BULK (4 << 20)

static char block[BULK], got[BULK];

static void make_block(void)
{
	for (int i = 0; i < BULK; i++)
		block[i] = (char)(i * 13 + i / 257);
}

static void send_block(int fd)
{
	send_all(fd, block, BULK);
}

static void echo_all(int fd)
{
	char buffer[5000];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		send_all(fd, buffer, (size_t)n);
}

static size_t there;

static void receive_block(int fd)
{
	there = 0;
	while (there < BULK) {
		ssize_t n = recv(fd, got + there, BULK - there, 0);

		if (n <= 0)
			break;
		there += (size_t)n;
	}
}

static void poll_for_a_while(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	while (there < BULK && poll(&entry, 1, 100) >= 0)
		;
}

static void case_read_write_poll(void)
{
	struct connection connection = open_connection();
	pthread_t echoer, reader, writer, poller;

	make_block();
	there = 0;
	echoer = later(0, echo_all, connection.them);
	reader = later(0, receive_block, connection.us);
	poller = later(0, poll_for_a_while, connection.us);
	writer = later(0, send_block, connection.us);
	join(writer);
	join(reader);
	join(poller);
	shutdown(connection.us, SHUT_WR);
	join(echoer);
	note("back: %s", there == BULK && memcmp(block, got, BULK) == 0 ? "all" : "not all");
	close_connection(connection);
}

#define RECORD	100
#define RECORDS 50 /* all fit the buffers: a call that has to wait may be torn on Linux too */
#define WRITERS 4

static int write_end;

static void write_records(int number)
{
	char record[RECORD];

	memset(record, 'a' + number, sizeof(record));
	for (int i = 0; i < RECORDS; i++)
		send_all(write_end, record, sizeof(record));
}

static void case_several_writers(void)
{
	struct connection connection = open_connection();
	pthread_t threads[WRITERS];
	int counts[WRITERS] = { 0 }, torn = 0;
	char record[RECORD];

	write_end = connection.us;
	for (int i = 0; i < WRITERS; i++)
		threads[i] = later(0, write_records, i);
	for (int i = 0; i < WRITERS * RECORDS; i++) {
		if (recv(connection.them, record, RECORD, MSG_WAITALL) != RECORD)
			break;
		for (int j = 1; j < RECORD; j++) {
			if (record[j] != record[0]) {
				torn++;
				break;
			}
		}
		if (record[0] >= 'a' && record[0] < 'a' + WRITERS)
			counts[record[0] - 'a']++;
	}
	for (int i = 0; i < WRITERS; i++) {
		join(threads[i]);
		note("records of %d: %d", i, counts[i]);
	}
	note("torn: %d", torn);
	close_connection(connection);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t bytes_read;

static void read_some(int fd)
{
	char buffer[64];
	ssize_t n;

	while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		pthread_mutex_lock(&lock);
		bytes_read += (size_t)n;
		pthread_mutex_unlock(&lock);
	}
}

static void case_several_readers(void)
{
	struct connection connection = open_connection();
	pthread_t threads[WRITERS];

	bytes_read = 0;
	for (int i = 0; i < WRITERS; i++)
		threads[i] = later(0, read_some, connection.us);
	send_all(connection.them, block, 100000);
	close(connection.them);
	for (int i = 0; i < WRITERS; i++)
		join(threads[i]);
	note("read by all: %zu", bytes_read);
	close(connection.us);
}

static int queue[64];
static unsigned queued, taken;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void serve_queue(int unused)
{
	(void)unused;
	for (;;) {
		int fd;

		pthread_mutex_lock(&lock);
		while (taken == queued)
			pthread_cond_wait(&changed, &lock);
		fd = queue[taken++ % 64];
		pthread_mutex_unlock(&lock);
		if (fd < 0)
			return;
		echo_all(fd);
		close(fd);
	}
}

static void put_in_queue(int fd)
{
	pthread_mutex_lock(&lock);
	queue[queued++ % 64] = fd;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

#define POOL_CLIENTS 12
#define POOL_WORKERS 4

static void accept_for_pool(int listener)
{
	for (int i = 0; i < POOL_CLIENTS; i++) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			break;
		put_in_queue(fd);
	}
}

static void case_thread_pool(void)
{
	int listener = our_listener(16), good = 0, them[POOL_CLIENTS];
	struct address address = name_of(listener);
	pthread_t acceptor = later(0, accept_for_pool, listener), workers[POOL_WORKERS];

	queued = taken = 0;
	for (int i = 0; i < POOL_WORKERS; i++)
		workers[i] = later(0, serve_queue, 0);
	for (int i = 0; i < POOL_CLIENTS; i++)
		them[i] = them_connect(&address);
	for (int i = 0; i < POOL_CLIENTS; i++) {
		char text[32], back[32] = "";
		int length = snprintf(text, sizeof(text), "client %d", i);

		send_all(them[i], text, (size_t)length);
		if (recv(them[i], back, (size_t)length, MSG_WAITALL) == length &&
		    memcmp(text, back, (size_t)length) == 0)
			good++;
		shutdown(them[i], SHUT_WR);
		if (recv(them[i], back, 1, 0) == 0)
			good++;
		close(them[i]);
	}
	join(acceptor);
	for (int i = 0; i < POOL_WORKERS; i++)
		put_in_queue(-1);
	for (int i = 0; i < POOL_WORKERS; i++)
		join(workers[i]);
	note("good %d", good);
	close(listener);
}

static struct address meeting;
static int moved;

static void connect_here(int unused)
{
	(void)unused;
	moved = connect_to(&meeting);
}

static void send_hello(int fd)
{
	send_all(fd, "hello", 5);
}

static void case_moved(void)
{
	int listener = their_listener(5), peer;
	char buffer[8] = { 0 };

	meeting = name_of(listener);
	join(later(0, connect_here, 0));
	join(later(0, send_hello, moved));
	peer = accept_one(listener);
	outcome("they get", recv(peer, buffer, 5, MSG_WAITALL));
	show("data", buffer, 5);
	send_all(peer, "answer", 6);
	outcome("we get", recv(moved, buffer, 6, MSG_WAITALL));
	show("data", buffer, 6);
	close(moved);
	close(peer);
	close(listener);
}

static int contested;

static void race_to_close(int start)
{
	(void)start;
	close(contested);
}

static void case_close_and_use(void)
{
	int bad = 0;

	for (int i = 0; i < 50; i++) {
		struct connection connection = open_connection();
		char byte;

		contested = connection.us;
		pthread_t thread = later(0, race_to_close, 0);

		for (int j = 0; j < 20; j++) {
			ssize_t n = recv(connection.us, &byte, 1, MSG_DONTWAIT);

			if (n >= 0 || (errno != EAGAIN && errno != EBADF))
				bad++;
		}
		join(thread);
		if (recv(connection.them, &byte, 1, 0) != 0)
			bad++;
		close(connection.them);
	}
	note("unexpected: %d", bad);
}

enum blocked_in { IN_RECV, IN_POLL, IN_EPOLL };

static int cancelled_fd, cancelled_epoll;

static void *block_in(void *where)
{
	struct pollfd entry = { .fd = cancelled_fd, .events = POLLIN };
	struct epoll_event event;
	char byte;

	switch (*(enum blocked_in *)where) {
	case IN_RECV:
		recv(cancelled_fd, &byte, 1, 0);
		break;
	case IN_POLL:
		poll(&entry, 1, -1);
		break;
	case IN_EPOLL:
		epoll_wait(cancelled_epoll, &event, 1, -1);
		break;
	}
	return NULL;
}

/*
 * A thread that is cancelled in a call leaves the socket usable, and closing it still tells the
 * peer.
 */
static void case_cancelled(void)
{
	static const char *const names[] = { "recv", "poll", "epoll_wait" };

	for (enum blocked_in where = IN_RECV; where <= IN_EPOLL; where++) {
		struct epoll_event event = { .events = EPOLLIN };
		struct connection connection = open_connection();
		pthread_t thread;
		void *result = NULL;
		char byte = '-';

		cancelled_fd = connection.us;
		cancelled_epoll = epoll_create1(0);
		must("add", epoll_ctl(cancelled_epoll, EPOLL_CTL_ADD, connection.us, &event));
		pthread_create(&thread, NULL, block_in, &where);
		pause_ms(50);
		pthread_cancel(thread);
		pthread_join(thread, &result);
		note("%s: %s", names[where], result == PTHREAD_CANCELED ? "cancelled" : "returned");
		send_all(connection.them, "x", 1);
		outcome("we receive", recv(connection.us, &byte, 1, 0));
		close(cancelled_epoll);
		close(connection.us);
		outcome("they see the end", recv(connection.them, &byte, 1, 0));
		close(connection.them);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "read, write and poll", case_read_write_poll, 60 },
		{ "several writers", case_several_writers, 30 },
		{ "several readers", case_several_readers, 0 },
		{ "thread pool", case_thread_pool, 0 },
		{ "moved", case_moved, 0 },
		{ "close and use", case_close_and_use, 0 },
		{ "cancelled", case_cancelled, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
