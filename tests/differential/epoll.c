/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: epoll's interest list and modes. Not for waiting: that is epoll_wait.c's. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <unistd.h>

#define MANY 16

static int control(int epoll, int operation, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	return epoll_ctl(epoll, operation, fd, &event);
}

static int by_data(const void *a, const void *b)
{
	const struct epoll_event *x = a, *y = b;

	return (x->data.u64 > y->data.u64) - (x->data.u64 < y->data.u64);
}

/* The order within one answer is not promised: it is printed sorted. */
static void look(const char *name, int epoll, int ms)
{
	struct epoll_event events[MANY];
	int n = epoll_wait(epoll, events, MANY, ms);

	outcome(name, n);
	if (n > 1)
		qsort(events, (size_t)n, sizeof(events[0]), by_data);
	for (int i = 0; i < n; i++)
		note("%llx: %s", (unsigned long long)events[i].data.u64,
		     poll_bits(events[i].events));
}

/* What comes at once is there; what comes over a wire gets a while, what should not come too. */
static void look_after(const char *name, int epoll)
{
	settle();
	look(name, epoll, 0);
}

static int new_epoll(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	must("epoll_create1", epoll);
	return epoll;
}

static void take(int fd, size_t length)
{
	char buffer[64];

	outcome("take", recv(fd, buffer, length, MSG_DONTWAIT));
}

static void case_control(void)
{
	struct connection connection = open_connection();
	const int closed = 900; /* far above all that are open */
	int epoll = new_epoll(), pipes[2];
	struct epoll_event event = { .events = EPOLLIN };
	volatile int minus_one = -1; /* the compiler warns of the constant */

	must("pipe", pipe(pipes));
	outcome("add", control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN, 1));
	outcome("add again", control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN, 2));
	outcome("modify another", control(epoll, EPOLL_CTL_MOD, connection.them, EPOLLIN, 2));
	outcome("delete another", control(epoll, EPOLL_CTL_DEL, connection.them, 0, 0));
	outcome("delete without event", epoll_ctl(epoll, EPOLL_CTL_DEL, connection.us, NULL));
	outcome("delete again", control(epoll, EPOLL_CTL_DEL, connection.us, 0, 0));
	outcome("add without event", epoll_ctl(epoll, EPOLL_CTL_ADD, connection.us, NULL));
	outcome("add, bad event", epoll_ctl(epoll, EPOLL_CTL_ADD, connection.us, bad_pointer()));
	outcome("unknown operation", epoll_ctl(epoll, 77, connection.us, &event));
	outcome("closed descriptor", control(epoll, EPOLL_CTL_ADD, closed, EPOLLIN, 1));
	outcome("closed epoll", control(closed, EPOLL_CTL_ADD, connection.us, EPOLLIN, 1));
	outcome("no epoll", control(pipes[0], EPOLL_CTL_ADD, connection.us, EPOLLIN, 1));
	outcome("a socket for an epoll",
		control(connection.us, EPOLL_CTL_ADD, connection.them, EPOLLIN, 1));
	outcome("itself", control(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN, 1));

	int file = open("/dev/null", O_RDONLY), directory = open("/", O_RDONLY);

	outcome("a directory", control(epoll, EPOLL_CTL_ADD, directory, EPOLLIN, 1));
	close(file);
	close(directory);
	outcome("a pipe", control(epoll, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 1));
	outcome("EXCLUSIVE",
		control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN | EPOLLEXCLUSIVE, 1));
	outcome("modify an EXCLUSIVE", control(epoll, EPOLL_CTL_MOD, connection.us, EPOLLIN, 1));
	outcome("delete", control(epoll, EPOLL_CTL_DEL, connection.us, 0, 0));
	outcome("EXCLUSIVE and ONESHOT", control(epoll, EPOLL_CTL_ADD, connection.us,
						 EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 1));
	outcome("modify to EXCLUSIVE",
		control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN, 1) +
			control(epoll, EPOLL_CTL_MOD, connection.us, EPOLLIN | EPOLLEXCLUSIVE, 1));
	outcome("epoll_create(0)", epoll_create(0));
	outcome("epoll_create1, bad flags", epoll_create1(0x77));
	outcome("wait on a socket", epoll_wait(connection.us, &event, 1, 0));
	outcome("wait on closed", epoll_wait(closed, &event, 1, 0));
	outcome("wait for 0 events", epoll_wait(epoll, &event, 0, 0));
	outcome("wait for -1 events", epoll_wait(epoll, &event, minus_one, 0));
	send_all(connection.them, "x", 1);
	await(connection.us, POLLIN);
	outcome("wait, bad pointer", epoll_wait(epoll, bad_pointer(), 1, 0));
	outcome("F_GETFD", fcntl(epoll, F_GETFD));
	close(pipes[0]);
	close(pipes[1]);
	close(epoll);
	close_connection(connection);
}

static void case_level(void)
{
	struct connection connection = open_connection();
	int epoll = new_epoll();
	uint64_t data = 0xfedcba9876543210u;

	outcome("add", control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN | EPOLLRDHUP, data));
	look("nothing", epoll, 0);
	send_all(connection.them, "abc", 3);
	look("data", epoll, 5000);
	look("again", epoll, 5000);
	take(connection.us, 2);
	look("some is left", epoll, 5000);
	take(connection.us, 2);
	look("nothing is left", epoll, 0);
	outcome("ask for room too",
		control(epoll, EPOLL_CTL_MOD, connection.us, EPOLLIN | EPOLLOUT, data));
	look("room", epoll, 5000);
	look("again", epoll, 5000);
	outcome("ask for nothing", control(epoll, EPOLL_CTL_MOD, connection.us, 0, data));
	send_all(connection.them, "abc", 3);
	look_after("nothing", epoll);
	outcome("ask for data",
		control(epoll, EPOLL_CTL_MOD, connection.us, EPOLLIN | EPOLLRDHUP, 5));
	look("data", epoll, 0);
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	look("their shutdown", epoll, 5000);
	take(connection.us, 3);
	look("the end", epoll, 5000);
	shutdown(connection.us, SHUT_WR);
	await(connection.us, POLLHUP);
	look("both ends", epoll, 5000);
	outcome("ask for nothing", control(epoll, EPOLL_CTL_MOD, connection.us, 0, 6));
	look("HUP comes all the same", epoll, 5000);
	outcome("delete", epoll_ctl(epoll, EPOLL_CTL_DEL, connection.us, NULL));
	look("nothing", epoll, 0);
	close(epoll);
	close_connection(connection);
}

static void case_edge(void)
{
	struct connection connection = open_connection();
	int epoll = new_epoll();

	/* In host mode this borrows it: the change itself would report an edge anew (LIMITS). */
	for (int i = 0; i < 4; i++) {
		send_all(connection.them, "x", 1);
		await_bytes(connection.us, 1);
		take(connection.us, 1);
	}
	outcome("add",
		control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN | EPOLLOUT | EPOLLET, 1));
	look("room at once", epoll, 0);
	look("only once", epoll, 0);
	send_all(connection.them, "abc", 3);
	look("data", epoll, 5000);
	look("only once", epoll, 0);
	take(connection.us, 1);
	look("what is left is no news", epoll, 0);
	send_all(connection.them, "def", 3);
	look("more data", epoll, 5000);
	look("only once", epoll, 0);
	outcome("modify",
		control(epoll, EPOLL_CTL_MOD, connection.us, EPOLLIN | EPOLLOUT | EPOLLET, 2));
	look("is news again", epoll, 0);
	look("only once", epoll, 0);
	take(connection.us, 10);
	shutdown(connection.them, SHUT_WR);
	look("the end", epoll, 5000);
	look("only once", epoll, 0);
	take(connection.us, 10);
	look("no news", epoll, 0);
	reset(connection.them);
	look("reset", epoll, 5000);
	look("only once", epoll, 0);
	take(connection.us, 1);
	look_after("no news", epoll);
	close(epoll);
	close(connection.us);

	note("added with data there");
	connection = open_connection();
	epoll = new_epoll();
	send_all(connection.them, "abc", 3);
	await(connection.us, POLLIN);
	outcome("add", control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN | EPOLLET, 3));
	look("data", epoll, 0);
	look("only once", epoll, 0);
	close(epoll);
	close_connection(connection);
}

static void case_edge_room(void)
{
	struct connection connection = open_connection();
	int epoll = new_epoll();
	size_t bytes;

	outcome("add", control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLOUT | EPOLLET, 1));
	look("room", epoll, 0);
	bytes = fill(connection.us);
	look("no room is no news", epoll, 0);
	note("drained %s", drain(connection.them, bytes) == bytes ? "all" : "not all");
	look("room again", epoll, 5000);
	settle();
	look("what is left over", epoll, 0);
	look("only once", epoll, 0);
	close(epoll);
	close_connection(connection);
}

static void case_one_shot(void)
{
	struct connection connection = open_connection();
	int epoll = new_epoll();

	outcome("add", control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN | EPOLLONESHOT, 1));
	send_all(connection.them, "abc", 3);
	look("data", epoll, 5000);
	look("only once", epoll, 0);
	send_all(connection.them, "def", 3);
	look_after("more data", epoll);
	outcome("arm again",
		control(epoll, EPOLL_CTL_MOD, connection.us, EPOLLIN | EPOLLONESHOT, 2));
	look("at once", epoll, 0);
	look("only once", epoll, 0);
	take(connection.us, 10);
	outcome("arm again",
		control(epoll, EPOLL_CTL_MOD, connection.us, EPOLLIN | EPOLLONESHOT, 3));
	look("nothing", epoll, 0);
	outcome("arm with ET",
		control(epoll, EPOLL_CTL_MOD, connection.us, EPOLLIN | EPOLLONESHOT | EPOLLET, 4));
	send_all(connection.them, "ghi", 3);
	look("data", epoll, 5000);
	reset(connection.them);
	look_after("a reset, disarmed", epoll);
	outcome("arm again",
		control(epoll, EPOLL_CTL_MOD, connection.us, EPOLLIN | EPOLLONESHOT, 5));
	look("reset", epoll, 0);
	look("only once", epoll, 0);
	close(epoll);
	close(connection.us);
}

static void case_states(void)
{
	int epoll = new_epoll(), fd = open_socket(SOCK_NONBLOCK), listener = their_listener(5);
	int ours = our_listener(5), peer, them;
	const uint32_t all = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI;
	struct address address = name_of(listener), nobody = their_address(1);

	outcome("add fresh", control(epoll, EPOLL_CTL_ADD, fd, all, 1));
	look("fresh", epoll, 0);
	outcome("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
	await(fd, POLLOUT);
	peer = accept_one(listener);
	look("connected", epoll, 0);
	close(peer);
	await(fd, POLLRDHUP);
	look("their close", epoll, 0);
	close(fd);
	look("closed", epoll, 0);

	note("edge-triggered from the start");
	fd = open_socket(SOCK_NONBLOCK);
	outcome("add fresh", control(epoll, EPOLL_CTL_ADD, fd, all | EPOLLET, 2));
	look("fresh", epoll, 0);
	outcome("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
	await(fd, POLLOUT);
	look("connected", epoll, 0);
	look("only once", epoll, 0);
	peer = accept_one(listener);
	close(fd);
	close(peer);

	note("refused");
	fd = open_socket(SOCK_NONBLOCK);
	outcome("connect", connect(fd, (struct sockaddr *)&nobody.storage, nobody.length));
	outcome("add", control(epoll, EPOLL_CTL_ADD, fd, all | EPOLLET, 3));
	await(fd, POLLHUP);
	look("refused", epoll, 0);
	look("only once", epoll, 0);
	close(fd);

	note("a listener");
	outcome("add", control(epoll, EPOLL_CTL_ADD, ours, all, 4));
	look("nobody", epoll, 0);
	address = name_of(ours);
	them = them_connect(&address);
	look("somebody", epoll, 5000);
	look("still", epoll, 5000);
	fd = accept_one(ours);
	look("nobody left", epoll, 0);
	close(fd);
	close(them);
	outcome("edge-triggered", control(epoll, EPOLL_CTL_MOD, ours, all | EPOLLET, 5));
	them = them_connect(&address);
	look("somebody", epoll, 5000);
	look("only once", epoll, 0);
	int second = them_connect(&address);

	look("another", epoll, 5000);
	shutdown(ours, SHUT_RD);
	look("shut down", epoll, 5000);
	close(second);
	close(them);
	close(ours);
	close(listener);
	close(epoll);
}

static void case_two_epolls(void)
{
	struct connection connection = open_connection();
	int first = new_epoll(), second = new_epoll();
	struct pollfd entry = { .fd = connection.us, .events = POLLIN };

	outcome("add", control(first, EPOLL_CTL_ADD, connection.us, EPOLLIN, 1));
	outcome("add to the second",
		control(second, EPOLL_CTL_ADD, connection.us, EPOLLIN | EPOLLET, 2));
	send_all(connection.them, "x", 1);
	look("first", first, 5000);
	look("second", second, 5000);
	outcome("poll", poll(&entry, 1, 5000));
	look("first again", first, 0);
	look("second again", second, 0);
	outcome("delete from the first", control(first, EPOLL_CTL_DEL, connection.us, 0, 0));
	send_all(connection.them, "x", 1);
	look("second", second, 5000);
	look("first", first, 0);
	outcome("add back", control(first, EPOLL_CTL_ADD, connection.us, EPOLLIN, 3));
	look("first", first, 0);
	close(connection.us);
	look("first, closed", first, 0);
	look("second, closed", second, 0);
	close(first);
	close(second);
	close(connection.them);
}

static void case_nested(void)
{
	struct connection connection = open_connection(), other = open_connection();
	int inner = new_epoll(), outer = new_epoll();
	struct pollfd entry = { .fd = inner, .events = POLLIN | POLLOUT };
	fd_set set;

	outcome("add to inner", control(inner, EPOLL_CTL_ADD, connection.us, EPOLLIN, 1));
	outcome("inner to outer", control(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 2));
	outcome("other to outer", control(outer, EPOLL_CTL_ADD, other.us, EPOLLIN, 3));
	outcome("outer to inner", control(inner, EPOLL_CTL_ADD, outer, EPOLLIN, 4));
	look("outer, nothing", outer, 0);
	outcome("poll, nothing", poll(&entry, 1, 0));
	send_all(connection.them, "x", 1);
	look("outer", outer, 5000);
	outcome("poll", poll(&entry, 1, 5000));
	note("%s", poll_bits((uint32_t)entry.revents));
	entry.fd = outer;
	outcome("poll of outer", poll(&entry, 1, 5000));
	note("%s", poll_bits((uint32_t)entry.revents));
	FD_ZERO(&set);
	FD_SET(inner, &set);
	outcome("select", select(inner + 1, &set, NULL, NULL, NULL));
	look("inner", inner, 0);
	send_all(other.them, "x", 1);
	await(other.us, POLLIN);
	look("outer, both", outer, 5000);
	take(connection.us, 1);
	look("outer, the other alone", outer, 0);
	entry.fd = inner;
	outcome("poll, nothing", poll(&entry, 1, 0));
	take(other.us, 1);
	outcome("inner edge-triggered", control(outer, EPOLL_CTL_MOD, inner, EPOLLIN | EPOLLET, 5));
	send_all(connection.them, "y", 1);
	look("outer", outer, 5000);
	look("only once", outer, 0);
	look("inner", inner, 0);
	close(inner);
	look("outer after inner's close", outer, 0);
	close(outer);
	close_connection(connection);
	close_connection(other);
}

static void case_closed_and_duplicated(void)
{
	struct connection connection = open_connection();
	int epoll = new_epoll(), copy = dup(connection.us);

	outcome("add the first", control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN, 1));
	outcome("add the copy too", control(epoll, EPOLL_CTL_ADD, copy, EPOLLIN, 2));
	send_all(connection.them, "x", 1);
	await(copy, POLLIN);
	look("both", epoll, 0);
	outcome("delete the copy", control(epoll, EPOLL_CTL_DEL, copy, 0, 0));
	look("the first", epoll, 0);
	close(connection.us);
	look("the first closed, the copy lives", epoll, 0);
	outcome("delete the first", control(epoll, EPOLL_CTL_DEL, connection.us, 0, 0));
	outcome("modify by the copy", control(epoll, EPOLL_CTL_MOD, copy, EPOLLIN, 3));
	close(copy);
	look("all closed", epoll, 0);
	close(connection.them);

	note("the number used again");
	connection = open_connection();
	outcome("add", control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN, 4));
	/* Made before the number is free: the other end might get it. */
	struct connection next = open_connection();
	int number = connection.us;

	close(connection.us);
	must("dup2", dup2(next.us, number));
	close(next.us);
	next.us = number;
	send_all(next.them, "x", 1);
	await(next.us, POLLIN);
	look("the old one is gone", epoll, 0);
	outcome("add the new one", control(epoll, EPOLL_CTL_ADD, next.us, EPOLLIN, 5));
	look("the new one", epoll, 0);
	must("dup2", dup2(0, next.us));
	look("replaced", epoll, 0);
	close_connection(next);
	close(connection.them);
	close(epoll);
}

static void case_epoll_duplicated(void)
{
	struct connection connection = open_connection();
	int epoll = new_epoll(), copy = dup(epoll);

	outcome("add", control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN, 1));
	send_all(connection.them, "x", 1);
	look("by the copy", copy, 5000);
	close(epoll);
	look("the copy alone", copy, 5000);
	outcome("delete by the copy", control(copy, EPOLL_CTL_DEL, connection.us, 0, 0));
	look("nothing", copy, 0);
	outcome("add by the copy", control(copy, EPOLL_CTL_ADD, connection.us, EPOLLIN, 2));
	look("data", copy, 5000);
	outcome("dup2 over it", dup2(0, copy) == copy ? 0 : -1);
	outcome("wait", epoll_wait(copy, &(struct epoll_event){ 0 }, 1, 0));
	close(copy);
	close_connection(connection);
}

static void case_mixed(void)
{
	struct connection connection = open_connection(), other = open_connection();
	int epoll = new_epoll(), pipes[2], event = eventfd(0, EFD_NONBLOCK);

	must("pipe", pipe(pipes));
	outcome("pipe", control(epoll, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 1));
	outcome("eventfd", control(epoll, EPOLL_CTL_ADD, event, EPOLLIN | EPOLLET, 2));
	outcome("us", control(epoll, EPOLL_CTL_ADD, connection.us, EPOLLIN, 3));
	outcome("other", control(epoll, EPOLL_CTL_ADD, other.us, EPOLLIN | EPOLLET, 4));
	look("nothing", epoll, 10);
	must("write", write(pipes[1], "x", 1));
	look("pipe", epoll, 5000);
	must("eventfd", eventfd_write(event, 1));
	look("pipe and event", epoll, 5000);
	send_all(connection.them, "x", 1);
	send_all(other.them, "x", 1);
	await(connection.us, POLLIN);
	await(other.us, POLLIN);
	look("all but the event", epoll, 5000);
	look("the level-triggered ones", epoll, 5000);
	must("read", read(pipes[0], (char[1]){ 0 }, 1));
	take(connection.us, 1);
	look("nothing", epoll, 0);
	close(pipes[0]);
	close(pipes[1]);
	close(event);
	close(epoll);
	close_connection(connection);
	close_connection(other);
}

static void wait_and_show(int epoll)
{
	struct epoll_event events[4];
	int count;

	settle();
	count = epoll_wait(epoll, events, 4, 0);
	outcome("epoll_wait", count);
	for (int i = 0; i < count; i++)
		note("%d: %s", (int)events[i].data.u32, poll_bits(events[i].events));
}

/* A call for which melin gives a connection back to the kernel. */
static void give_back(int fd)
{
	char text[256];
	socklen_t length = sizeof(text);

	must("TCP_CC_INFO", getsockopt(fd, IPPROTO_TCP, TCP_CC_INFO, text, &length));
}

/* An item lives as long as its file, and the connection goes back to the kernel in between. */
static void case_number_gone_before_the_end(void)
{
	struct connection connection = open_talking();
	struct epoll_event event = { .events = EPOLLIN, .data = { .u32 = 1 } };
	int epoll = epoll_create1(EPOLL_CLOEXEC), copy = dup(connection.us);

	outcome("add", epoll_ctl(epoll, EPOLL_CTL_ADD, connection.us, &event));
	close(connection.us);
	send_all(connection.them, "x", 1);
	wait_and_show(epoll);
	outcome("a bad direction", shutdown(copy, 7)); /* melin gives it back for good */
	wait_and_show(epoll);
	event.data.u32 = 2;
	outcome("the other number", epoll_ctl(epoll, EPOLL_CTL_ADD, copy, &event));
	outcome("delete it", epoll_ctl(epoll, EPOLL_CTL_DEL, copy, NULL));
	wait_and_show(epoll);
	outcome("the number again", dup2(copy, connection.us) == connection.us ? 0 : -1);
	event.events = EPOLLOUT;
	outcome("modify", epoll_ctl(epoll, EPOLL_CTL_MOD, connection.us, &event));
	wait_and_show(epoll);
	outcome("delete", epoll_ctl(epoll, EPOLL_CTL_DEL, connection.us, NULL));
	wait_and_show(epoll);
	close(copy);
	close(epoll);
	close_connection(connection);
}

/* Takes all numbers that the program may have; where, one after the other, ends with -1. */
static void take_all_numbers(int where[2048])
{
	int count = 0;

	while (count < 2047 && (where[count] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) >= 0)
		count++;
	where[count] = -1;
}

/* A program that has all numbers gets each event once, however often the carrier changes. */
static void case_number_gone_and_none_left(void)
{
	struct connection connection = open_talking();
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data = { .u32 = 1 } };
	int epoll = epoll_create1(EPOLL_CLOEXEC), copy = dup(connection.us), numbers[2048];

	outcome("add", epoll_ctl(epoll, EPOLL_CTL_ADD, connection.us, &event));
	close(connection.us);
	connection.us = copy;
	wait_and_show(epoll);
	give_back(copy);
	wait_and_show(epoll);
	take_all_numbers(numbers);
	talk_a_while(connection);
	wait_and_show(epoll);
	give_back(copy);
	wait_and_show(epoll);
	for (int i = 0; numbers[i] >= 0; i++)
		close(numbers[i]);
	close(epoll);
	close_connection(connection);
}

/* The number goes before the connection is borrowed: one item is one event, whoever carries it. */
static void case_number_gone_before_the_loan(void)
{
	struct connection connection = open_connection();
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data = { .u32 = 1 } };
	int epoll = epoll_create1(EPOLL_CLOEXEC), copy = dup(connection.us);

	outcome("add", epoll_ctl(epoll, EPOLL_CTL_ADD, connection.us, &event));
	close(connection.us);
	connection.us = copy;
	talk_a_while(connection);
	wait_and_show(epoll);
	send_all(connection.them, "x", 1);
	wait_and_show(epoll);
	give_back(copy);
	wait_and_show(epoll);
	talk_a_while(connection);
	wait_and_show(epoll);
	close(epoll);
	close_connection(connection);
}

/* All that is ready comes in one call, if there is room. */
static void case_nested_beside_others(void)
{
	struct connection connection = open_talking();
	int inner = new_epoll(), outer = new_epoll(), pipes[2];

	must("pipe", pipe(pipes));
	must("write", write(pipes[1], "x", 1));
	outcome("pipe to inner", control(inner, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 1));
	outcome("inner to outer", control(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 2));
	outcome("pipe to outer", control(outer, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 3));
	outcome("connection to outer", control(outer, EPOLL_CTL_ADD, connection.us, EPOLLOUT, 4));
	for (int i = 0; i < 4; i++)
		look("all of them", outer, 0);
	close(pipes[0]);
	close(pipes[1]);
	close(inner);
	close(outer);
	close_connection(connection);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "control", case_control, 0 },
		{ "level", case_level, 0 },
		{ "edge", case_edge, 0 },
		{ "edge room", case_edge_room, 0 },
		{ "one shot", case_one_shot, 0 },
		{ "states", case_states, 0 },
		{ "two epolls", case_two_epolls, 0 },
		{ "nested", case_nested, 0 },
		{ "nested beside others", case_nested_beside_others, 0 },
		{ "closed and duplicated", case_closed_and_duplicated, 0 },
		{ "epoll duplicated", case_epoll_duplicated, 0 },
		{ "mixed", case_mixed, 0 },
		{ "number gone before the end", case_number_gone_before_the_end, 0 },
		{ "number gone and none left", case_number_gone_and_none_left, 0 },
		{ "number gone before the loan", case_number_gone_before_the_loan, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
