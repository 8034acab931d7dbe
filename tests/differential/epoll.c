/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: epoll's interest list and modes. Not for waiting: that is epoll_wait.c's. */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
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

	step(name, n);
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

	step("take", recv(fd, buffer, length, MSG_DONTWAIT));
}

static void case_control(void)
{
	struct pair pair = open_pair();
	const int closed = 900; /* far above all that are open */
	int epoll = new_epoll(), pipes[2];
	struct epoll_event event = { .events = EPOLLIN };
	volatile int minus_one = -1; /* the compiler warns of the constant */

	must("pipe", pipe(pipes));
	step("add", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN, 1));
	step("add again", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN, 2));
	step("modify another", control(epoll, EPOLL_CTL_MOD, pair.them, EPOLLIN, 2));
	step("delete another", control(epoll, EPOLL_CTL_DEL, pair.them, 0, 0));
	step("delete without event", epoll_ctl(epoll, EPOLL_CTL_DEL, pair.us, NULL));
	step("delete again", control(epoll, EPOLL_CTL_DEL, pair.us, 0, 0));
	step("add without event", epoll_ctl(epoll, EPOLL_CTL_ADD, pair.us, NULL));
	step("add, bad event", epoll_ctl(epoll, EPOLL_CTL_ADD, pair.us, bad_pointer()));
	step("unknown operation", epoll_ctl(epoll, 77, pair.us, &event));
	step("closed descriptor", control(epoll, EPOLL_CTL_ADD, closed, EPOLLIN, 1));
	step("closed epoll", control(closed, EPOLL_CTL_ADD, pair.us, EPOLLIN, 1));
	step("no epoll", control(pipes[0], EPOLL_CTL_ADD, pair.us, EPOLLIN, 1));
	step("a socket for an epoll", control(pair.us, EPOLL_CTL_ADD, pair.them, EPOLLIN, 1));
	step("itself", control(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN, 1));

	int file = open("/dev/null", O_RDONLY), directory = open("/", O_RDONLY);

	step("a directory", control(epoll, EPOLL_CTL_ADD, directory, EPOLLIN, 1));
	close(file);
	close(directory);
	step("a pipe", control(epoll, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 1));
	step("EXCLUSIVE", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN | EPOLLEXCLUSIVE, 1));
	step("modify an EXCLUSIVE", control(epoll, EPOLL_CTL_MOD, pair.us, EPOLLIN, 1));
	step("delete", control(epoll, EPOLL_CTL_DEL, pair.us, 0, 0));
	step("EXCLUSIVE and ONESHOT",
	     control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 1));
	step("modify to EXCLUSIVE",
	     control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN, 1) +
		     control(epoll, EPOLL_CTL_MOD, pair.us, EPOLLIN | EPOLLEXCLUSIVE, 1));
	step("epoll_create(0)", epoll_create(0));
	step("epoll_create1, bad flags", epoll_create1(0x77));
	step("wait on a socket", epoll_wait(pair.us, &event, 1, 0));
	step("wait on closed", epoll_wait(closed, &event, 1, 0));
	step("wait for 0 events", epoll_wait(epoll, &event, 0, 0));
	step("wait for -1 events", epoll_wait(epoll, &event, minus_one, 0));
	send_all(pair.them, "x", 1);
	await(pair.us, POLLIN);
	step("wait, bad pointer", epoll_wait(epoll, bad_pointer(), 1, 0));
	step("F_GETFD", fcntl(epoll, F_GETFD));
	close(pipes[0]);
	close(pipes[1]);
	close(epoll);
	close_pair(pair);
}

static void case_level(void)
{
	struct pair pair = open_pair();
	int epoll = new_epoll();
	uint64_t data = 0xfedcba9876543210u;

	step("add", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN | EPOLLRDHUP, data));
	look("nothing", epoll, 0);
	send_all(pair.them, "abc", 3);
	look("data", epoll, 5000);
	look("again", epoll, 5000);
	take(pair.us, 2);
	look("some is left", epoll, 5000);
	take(pair.us, 2);
	look("nothing is left", epoll, 0);
	step("ask for room too", control(epoll, EPOLL_CTL_MOD, pair.us, EPOLLIN | EPOLLOUT, data));
	look("room", epoll, 5000);
	look("again", epoll, 5000);
	step("ask for nothing", control(epoll, EPOLL_CTL_MOD, pair.us, 0, data));
	send_all(pair.them, "abc", 3);
	look_after("nothing", epoll);
	step("ask for data", control(epoll, EPOLL_CTL_MOD, pair.us, EPOLLIN | EPOLLRDHUP, 5));
	look("data", epoll, 0);
	shutdown(pair.them, SHUT_WR);
	await(pair.us, POLLRDHUP);
	look("their shutdown", epoll, 5000);
	take(pair.us, 3);
	look("the end", epoll, 5000);
	shutdown(pair.us, SHUT_WR);
	await(pair.us, POLLHUP);
	look("both ends", epoll, 5000);
	step("ask for nothing", control(epoll, EPOLL_CTL_MOD, pair.us, 0, 6));
	look("HUP comes all the same", epoll, 5000);
	step("delete", epoll_ctl(epoll, EPOLL_CTL_DEL, pair.us, NULL));
	look("nothing", epoll, 0);
	close(epoll);
	close_pair(pair);
}

static void case_edge(void)
{
	struct pair pair = open_pair();
	int epoll = new_epoll();

	step("add", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN | EPOLLOUT | EPOLLET, 1));
	look("room at once", epoll, 0);
	look("only once", epoll, 0);
	send_all(pair.them, "abc", 3);
	look("data", epoll, 5000);
	look("only once", epoll, 0);
	take(pair.us, 1);
	look("what is left is no news", epoll, 0);
	send_all(pair.them, "def", 3);
	look("more data", epoll, 5000);
	look("only once", epoll, 0);
	step("modify", control(epoll, EPOLL_CTL_MOD, pair.us, EPOLLIN | EPOLLOUT | EPOLLET, 2));
	look("is news again", epoll, 0);
	look("only once", epoll, 0);
	take(pair.us, 10);
	shutdown(pair.them, SHUT_WR);
	look("the end", epoll, 5000);
	look("only once", epoll, 0);
	take(pair.us, 10);
	look("no news", epoll, 0);
	reset(pair.them);
	look("reset", epoll, 5000);
	look("only once", epoll, 0);
	take(pair.us, 1);
	look_after("no news", epoll);
	close(epoll);
	close(pair.us);

	note("added with data there");
	pair = open_pair();
	epoll = new_epoll();
	send_all(pair.them, "abc", 3);
	await(pair.us, POLLIN);
	step("add", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN | EPOLLET, 3));
	look("data", epoll, 0);
	look("only once", epoll, 0);
	close(epoll);
	close_pair(pair);
}

static void case_edge_room(void)
{
	struct pair pair = open_pair();
	int epoll = new_epoll();
	size_t bytes;

	step("add", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLOUT | EPOLLET, 1));
	look("room", epoll, 0);
	bytes = fill(pair.us);
	look("no room is no news", epoll, 0);
	note("drained %s", drain(pair.them, bytes) == bytes ? "all" : "not all");
	look("room again", epoll, 5000);
	settle();
	look("what is left over", epoll, 0);
	look("only once", epoll, 0);
	close(epoll);
	close_pair(pair);
}

static void case_one_shot(void)
{
	struct pair pair = open_pair();
	int epoll = new_epoll();

	step("add", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN | EPOLLONESHOT, 1));
	send_all(pair.them, "abc", 3);
	look("data", epoll, 5000);
	look("only once", epoll, 0);
	send_all(pair.them, "def", 3);
	look_after("more data", epoll);
	step("arm again", control(epoll, EPOLL_CTL_MOD, pair.us, EPOLLIN | EPOLLONESHOT, 2));
	look("at once", epoll, 0);
	look("only once", epoll, 0);
	take(pair.us, 10);
	step("arm again", control(epoll, EPOLL_CTL_MOD, pair.us, EPOLLIN | EPOLLONESHOT, 3));
	look("nothing", epoll, 0);
	step("arm with ET",
	     control(epoll, EPOLL_CTL_MOD, pair.us, EPOLLIN | EPOLLONESHOT | EPOLLET, 4));
	send_all(pair.them, "ghi", 3);
	look("data", epoll, 5000);
	reset(pair.them);
	look_after("a reset, disarmed", epoll);
	step("arm again", control(epoll, EPOLL_CTL_MOD, pair.us, EPOLLIN | EPOLLONESHOT, 5));
	look("reset", epoll, 0);
	look("only once", epoll, 0);
	close(epoll);
	close(pair.us);
}

static void case_states(void)
{
	int epoll = new_epoll(), fd = open_socket(SOCK_NONBLOCK), listener = their_listener(5);
	int ours = our_listener(5), peer, them;
	const uint32_t all = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI;
	struct address address = name_of(listener), nobody = their_address(1);

	step("add fresh", control(epoll, EPOLL_CTL_ADD, fd, all, 1));
	look("fresh", epoll, 0);
	step("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
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
	step("add fresh", control(epoll, EPOLL_CTL_ADD, fd, all | EPOLLET, 2));
	look("fresh", epoll, 0);
	step("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
	await(fd, POLLOUT);
	look("connected", epoll, 0);
	look("only once", epoll, 0);
	peer = accept_one(listener);
	close(fd);
	close(peer);

	note("refused");
	fd = open_socket(SOCK_NONBLOCK);
	step("connect", connect(fd, (struct sockaddr *)&nobody.storage, nobody.length));
	step("add", control(epoll, EPOLL_CTL_ADD, fd, all | EPOLLET, 3));
	await(fd, POLLHUP);
	look("refused", epoll, 0);
	look("only once", epoll, 0);
	close(fd);

	note("a listener");
	step("add", control(epoll, EPOLL_CTL_ADD, ours, all, 4));
	look("nobody", epoll, 0);
	address = name_of(ours);
	them = them_connect(&address);
	look("somebody", epoll, 5000);
	look("still", epoll, 5000);
	fd = accept_one(ours);
	look("nobody left", epoll, 0);
	close(fd);
	close(them);
	step("edge-triggered", control(epoll, EPOLL_CTL_MOD, ours, all | EPOLLET, 5));
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
	struct pair pair = open_pair();
	int first = new_epoll(), second = new_epoll();
	struct pollfd entry = { .fd = pair.us, .events = POLLIN };

	step("add", control(first, EPOLL_CTL_ADD, pair.us, EPOLLIN, 1));
	step("add to the second", control(second, EPOLL_CTL_ADD, pair.us, EPOLLIN | EPOLLET, 2));
	send_all(pair.them, "x", 1);
	look("first", first, 5000);
	look("second", second, 5000);
	step("poll", poll(&entry, 1, 5000));
	look("first again", first, 0);
	look("second again", second, 0);
	step("delete from the first", control(first, EPOLL_CTL_DEL, pair.us, 0, 0));
	send_all(pair.them, "x", 1);
	look("second", second, 5000);
	look("first", first, 0);
	step("add back", control(first, EPOLL_CTL_ADD, pair.us, EPOLLIN, 3));
	look("first", first, 0);
	close(pair.us);
	look("first, closed", first, 0);
	look("second, closed", second, 0);
	close(first);
	close(second);
	close(pair.them);
}

static void case_nested(void)
{
	struct pair pair = open_pair(), other = open_pair();
	int inner = new_epoll(), outer = new_epoll();
	struct pollfd entry = { .fd = inner, .events = POLLIN | POLLOUT };
	fd_set set;

	step("add to inner", control(inner, EPOLL_CTL_ADD, pair.us, EPOLLIN, 1));
	step("inner to outer", control(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 2));
	step("other to outer", control(outer, EPOLL_CTL_ADD, other.us, EPOLLIN, 3));
	step("outer to inner", control(inner, EPOLL_CTL_ADD, outer, EPOLLIN, 4));
	look("outer, nothing", outer, 0);
	step("poll, nothing", poll(&entry, 1, 0));
	send_all(pair.them, "x", 1);
	look("outer", outer, 5000);
	step("poll", poll(&entry, 1, 5000));
	note("%s", poll_bits((uint32_t)entry.revents));
	entry.fd = outer;
	step("poll of outer", poll(&entry, 1, 5000));
	note("%s", poll_bits((uint32_t)entry.revents));
	FD_ZERO(&set);
	FD_SET(inner, &set);
	step("select", select(inner + 1, &set, NULL, NULL, NULL));
	look("inner", inner, 0);
	send_all(other.them, "x", 1);
	await(other.us, POLLIN);
	look("outer, both", outer, 5000);
	take(pair.us, 1);
	look("outer, the other alone", outer, 0);
	entry.fd = inner;
	step("poll, nothing", poll(&entry, 1, 0));
	take(other.us, 1);
	step("inner edge-triggered", control(outer, EPOLL_CTL_MOD, inner, EPOLLIN | EPOLLET, 5));
	send_all(pair.them, "y", 1);
	look("outer", outer, 5000);
	look("only once", outer, 0);
	look("inner", inner, 0);
	close(inner);
	look("outer after inner's close", outer, 0);
	close(outer);
	close_pair(pair);
	close_pair(other);
}

static void case_closed_and_duplicated(void)
{
	struct pair pair = open_pair();
	int epoll = new_epoll(), copy = dup(pair.us);

	step("add the first", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN, 1));
	step("add the copy too", control(epoll, EPOLL_CTL_ADD, copy, EPOLLIN, 2));
	send_all(pair.them, "x", 1);
	await(copy, POLLIN);
	look("both", epoll, 0);
	step("delete the copy", control(epoll, EPOLL_CTL_DEL, copy, 0, 0));
	look("the first", epoll, 0);
	close(pair.us);
	look("the first closed, the copy lives", epoll, 0);
	step("delete the first", control(epoll, EPOLL_CTL_DEL, pair.us, 0, 0));
	step("modify by the copy", control(epoll, EPOLL_CTL_MOD, copy, EPOLLIN, 3));
	close(copy);
	look("all closed", epoll, 0);
	close(pair.them);

	note("the number used again");
	pair = open_pair();
	step("add", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN, 4));
	/* Made before the number is free: the other end might get it. */
	struct pair next = open_pair();
	int number = pair.us;

	close(pair.us);
	must("dup2", dup2(next.us, number));
	close(next.us);
	next.us = number;
	send_all(next.them, "x", 1);
	await(next.us, POLLIN);
	look("the old one is gone", epoll, 0);
	step("add the new one", control(epoll, EPOLL_CTL_ADD, next.us, EPOLLIN, 5));
	look("the new one", epoll, 0);
	must("dup2", dup2(0, next.us));
	look("replaced", epoll, 0);
	close_pair(next);
	close(pair.them);
	close(epoll);
}

static void case_epoll_duplicated(void)
{
	struct pair pair = open_pair();
	int epoll = new_epoll(), copy = dup(epoll);

	step("add", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN, 1));
	send_all(pair.them, "x", 1);
	look("by the copy", copy, 5000);
	close(epoll);
	look("the copy alone", copy, 5000);
	step("delete by the copy", control(copy, EPOLL_CTL_DEL, pair.us, 0, 0));
	look("nothing", copy, 0);
	step("add by the copy", control(copy, EPOLL_CTL_ADD, pair.us, EPOLLIN, 2));
	look("data", copy, 5000);
	step("dup2 over it", dup2(0, copy) == copy ? 0 : -1);
	step("wait", epoll_wait(copy, &(struct epoll_event){ 0 }, 1, 0));
	close(copy);
	close_pair(pair);
}

static void case_mixed(void)
{
	struct pair pair = open_pair(), other = open_pair();
	int epoll = new_epoll(), pipes[2], event = eventfd(0, EFD_NONBLOCK);

	must("pipe", pipe(pipes));
	step("pipe", control(epoll, EPOLL_CTL_ADD, pipes[0], EPOLLIN, 1));
	step("eventfd", control(epoll, EPOLL_CTL_ADD, event, EPOLLIN | EPOLLET, 2));
	step("us", control(epoll, EPOLL_CTL_ADD, pair.us, EPOLLIN, 3));
	step("other", control(epoll, EPOLL_CTL_ADD, other.us, EPOLLIN | EPOLLET, 4));
	look("nothing", epoll, 10);
	must("write", write(pipes[1], "x", 1));
	look("pipe", epoll, 5000);
	must("eventfd", eventfd_write(event, 1));
	look("pipe and event", epoll, 5000);
	send_all(pair.them, "x", 1);
	send_all(other.them, "x", 1);
	await(pair.us, POLLIN);
	await(other.us, POLLIN);
	look("all but the event", epoll, 5000);
	look("the level-triggered ones", epoll, 5000);
	must("read", read(pipes[0], (char[1]){ 0 }, 1));
	take(pair.us, 1);
	look("nothing", epoll, 0);
	close(pipes[0]);
	close(pipes[1]);
	close(event);
	close(epoll);
	close_pair(pair);
	close_pair(other);
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
		{ "closed and duplicated", case_closed_and_duplicated, 0 },
		{ "epoll duplicated", case_epoll_duplicated, 0 },
		{ "mixed", case_mixed, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
