/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: close(2) with and without unread data, and SO_LINGER. */
#include "step.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void step_poll(const char *name, int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	poll(&entry, 1, 0);
	note("%s: %s", name, poll_bits((uint32_t)entry.revents));
}

static void step_receive(const char *name, int fd)
{
	char buffer[16];
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	step(name, n);
	if (n > 0)
		show("data", buffer, n);
}

static void set_linger(int fd, int on, int seconds)
{
	struct linger linger = { .l_onoff = on, .l_linger = seconds };

	step("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

static void case_clean(void)
{
	struct pair pair = open_pair();

	step("close", close(pair.us));
	await(pair.them, POLLIN | POLLRDHUP);
	step_poll("they poll", pair.them);
	step_receive("they receive", pair.them);
	step("they send", send(pair.them, "x", 1, MSG_NOSIGNAL));
	await(pair.them, POLLERR | POLLHUP);
	step_poll("they poll", pair.them);
	step("they send", send(pair.them, "x", 1, MSG_NOSIGNAL));
	step_receive("they receive", pair.them);
	step("close again", close(pair.us));
	close(pair.them);

	note("with data sent before");
	pair = open_pair();
	step("send", send(pair.us, "last words", 10, 0));
	step("close", close(pair.us));
	await(pair.them, POLLIN | POLLRDHUP);
	step_receive("they receive", pair.them);
	step_receive("they receive", pair.them);
	close(pair.them);
}

static void case_unread(void)
{
	struct pair pair = open_pair();

	send_all(pair.them, "hello", 5);
	await_bytes(pair.us, 5);
	step("close", close(pair.us));
	await(pair.them, POLLERR | POLLHUP);
	step_poll("they poll", pair.them);
	step_receive("they receive", pair.them);
	step_receive("they receive", pair.them);
	step("they send", send(pair.them, "x", 1, MSG_NOSIGNAL));
	close(pair.them);

	note("with data sent before");
	pair = open_pair();
	send_all(pair.them, "hello", 5);
	await_bytes(pair.us, 5);
	step("send", send(pair.us, "last words", 10, 0));
	await_bytes(pair.them, 10);
	step("close", close(pair.us));
	await(pair.them, POLLERR | POLLHUP);
	step_receive("they receive", pair.them);
	step_receive("they receive", pair.them);
	close(pair.them);

	note("read in part");
	pair = open_pair();
	send_all(pair.them, "hello", 5);
	await_bytes(pair.us, 5);
	note("drained %zu", drain(pair.us, 4));
	step("close", close(pair.us));
	await(pair.them, POLLERR | POLLHUP);
	step_receive("they receive", pair.them);
	close(pair.them);

	note("all read");
	pair = open_pair();
	send_all(pair.them, "hello", 5);
	await_bytes(pair.us, 5);
	note("drained %zu", drain(pair.us, 5));
	step("close", close(pair.us));
	await(pair.them, POLLIN | POLLRDHUP);
	step_poll("they poll", pair.them);
	step_receive("they receive", pair.them);
	close(pair.them);

	note("only peeked at");
	pair = open_pair();
	send_all(pair.them, "hello", 5);
	await_bytes(pair.us, 5);

	char buffer[8];

	step("peek", recv(pair.us, buffer, 5, MSG_PEEK));
	step("close", close(pair.us));
	await(pair.them, POLLERR | POLLHUP);
	step_receive("they receive", pair.them);
	close(pair.them);

	note("an end unread is no data");
	pair = open_pair();
	shutdown(pair.them, SHUT_WR);
	await(pair.us, POLLRDHUP);
	step("close", close(pair.us));
	await(pair.them, POLLIN);
	step_receive("they receive", pair.them);
	close(pair.them);
}

static void case_much_to_deliver(void)
{
	enum { SIZE = 2000000 };
	static char block[SIZE], got[SIZE];
	struct pair pair = open_pair();
	size_t sent = 0, there = 0;

	for (int i = 0; i < SIZE; i++)
		block[i] = (char)(i * 7 + i / 253);
	set_nonblocking(pair.us, true);
	for (unsigned tries = 0; sent < SIZE && tries < 5;) {
		ssize_t n = send(pair.us, block + sent, SIZE - sent, 0);

		if (n > 0) {
			sent += (size_t)n;
		} else {
			tries++;
			settle();
		}
	}
	step("close", close(pair.us));
	for (;;) {
		ssize_t n = recv(pair.them, got + there, SIZE - there, 0);

		if (n <= 0) {
			step("they receive at last", n);
			break;
		}
		there += (size_t)n;
	}
	note("all of it: %s", there == sent && memcmp(block, got, sent) == 0 ? "yes" : "no");
	close(pair.them);
}

static void case_linger_zero(void)
{
	struct pair pair = open_pair();

	set_linger(pair.us, 1, 0);
	step("close", close(pair.us));
	await(pair.them, POLLERR | POLLHUP);
	step_poll("they poll", pair.them);
	step_receive("they receive", pair.them);
	step_receive("they receive", pair.them);
	close(pair.them);

	note("with data sent before");
	pair = open_pair();
	set_linger(pair.us, 1, 0);
	step("send", send(pair.us, "last words", 10, 0));
	await_bytes(pair.them, 10);
	step("close", close(pair.us));
	await(pair.them, POLLERR | POLLHUP);
	step_receive("they receive", pair.them);
	step_receive("they receive", pair.them);
	close(pair.them);

	note("after shutdown");
	pair = open_pair();
	set_linger(pair.us, 1, 0);
	step("shutdown", shutdown(pair.us, SHUT_WR));
	await(pair.them, POLLIN | POLLRDHUP);
	step("close", close(pair.us));
	settle();
	step_poll("they poll", pair.them);
	step_receive("they receive", pair.them);
	close(pair.them);

	note("set, but off");
	pair = open_pair();
	set_linger(pair.us, 0, 0);
	step("close", close(pair.us));
	await(pair.them, POLLIN);
	step_receive("they receive", pair.them);
	close(pair.them);
}

static void case_linger(void)
{
	struct pair pair = open_pair();
	int64_t start;
	size_t bytes;

	set_linger(pair.us, 1, 5);
	step("send", send(pair.us, "hello", 5, 0));
	start = now_ms();
	step("close", close(pair.us));
	note_duration("taken at once", now_ms() - start, 0, 1500);
	step_receive("they receive", pair.them);
	step_receive("they receive", pair.them);
	close(pair.them);

	note("they do not read");
	pair = open_pair();
	bytes = fill(pair.us);
	set_nonblocking(pair.us, false);
	set_linger(pair.us, 1, 1);
	start = now_ms();
	step("close", close(pair.us));
	note_duration("close waited", now_ms() - start, 900, 2500);
	note("drained %s", drain(pair.them, bytes) == bytes ? "all" : "not all");
	step_receive("they receive", pair.them);
	close(pair.them);
}

static void case_many(void)
{
	enum { ROUNDS = 100 };
	int good = 0;
	int lowest = dup(0), after;

	close(lowest);
	for (int i = 0; i < ROUNDS; i++) {
		struct pair pair = open_pair();
		char byte = 0;

		if (send(pair.us, "x", 1, 0) == 1 && recv(pair.them, &byte, 1, 0) == 1 &&
		    byte == 'x')
			good++;
		close_pair(pair);
	}
	after = dup(0);
	close(after);
	note("good %d, descriptors back: %s", good, lowest == after ? "yes" : "no");
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "clean", case_clean, 0 },
		{ "unread", case_unread, 0 },
		{ "much to deliver", case_much_to_deliver, 0 },
		{ "linger zero", case_linger_zero, 0 },
		{ "linger", case_linger, 0 },
		{ "many", case_many, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
