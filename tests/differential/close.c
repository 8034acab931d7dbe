/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: close(2) with and without unread data, and SO_LINGER. */
#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void outcome_poll(const char *name, int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	poll(&entry, 1, 0);
	note("%s: %s", name, poll_bits((uint32_t)entry.revents));
}

static void outcome_receive(const char *name, int fd)
{
	char buffer[16];
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	outcome(name, n);
	if (n > 0)
		show("data", buffer, n);
}

static void set_linger(int fd, int on, int seconds)
{
	struct linger linger = { .l_onoff = on, .l_linger = seconds };

	outcome("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

static void case_clean(void)
{
	struct connection connection = open_connection();

	outcome("close", close(connection.us));
	await(connection.them, POLLIN | POLLRDHUP);
	outcome_poll("they poll", connection.them);
	outcome_receive("they receive", connection.them);
	outcome("they send", send(connection.them, "x", 1, MSG_NOSIGNAL));
	await(connection.them, POLLERR | POLLHUP);
	outcome_poll("they poll", connection.them);
	outcome("they send", send(connection.them, "x", 1, MSG_NOSIGNAL));
	outcome_receive("they receive", connection.them);
	outcome("close again", close(connection.us));
	close(connection.them);

	note("with data sent before");
	connection = open_connection();
	outcome("send", send(connection.us, "last words", 10, 0));
	outcome("close", close(connection.us));
	await(connection.them, POLLIN | POLLRDHUP);
	outcome_receive("they receive", connection.them);
	outcome_receive("they receive", connection.them);
	close(connection.them);
}

static void case_unread(void)
{
	struct connection connection = open_connection();

	send_all(connection.them, "hello", 5);
	await_bytes(connection.us, 5);
	outcome("close", close(connection.us));
	await(connection.them, POLLERR | POLLHUP);
	outcome_poll("they poll", connection.them);
	outcome_receive("they receive", connection.them);
	outcome_receive("they receive", connection.them);
	outcome("they send", send(connection.them, "x", 1, MSG_NOSIGNAL));
	close(connection.them);

	note("with data sent before");
	connection = open_connection();
	send_all(connection.them, "hello", 5);
	await_bytes(connection.us, 5);
	outcome("send", send(connection.us, "last words", 10, 0));
	await_bytes(connection.them, 10);
	outcome("close", close(connection.us));
	await(connection.them, POLLERR | POLLHUP);
	outcome_receive("they receive", connection.them);
	outcome_receive("they receive", connection.them);
	close(connection.them);

	note("read in part");
	connection = open_connection();
	send_all(connection.them, "hello", 5);
	await_bytes(connection.us, 5);
	note("drained %zu", drain(connection.us, 4));
	outcome("close", close(connection.us));
	await(connection.them, POLLERR | POLLHUP);
	outcome_receive("they receive", connection.them);
	close(connection.them);

	note("all read");
	connection = open_connection();
	send_all(connection.them, "hello", 5);
	await_bytes(connection.us, 5);
	note("drained %zu", drain(connection.us, 5));
	outcome("close", close(connection.us));
	await(connection.them, POLLIN | POLLRDHUP);
	outcome_poll("they poll", connection.them);
	outcome_receive("they receive", connection.them);
	close(connection.them);

	note("only peeked at");
	connection = open_connection();
	send_all(connection.them, "hello", 5);
	await_bytes(connection.us, 5);

	char buffer[8];

	outcome("peek", recv(connection.us, buffer, 5, MSG_PEEK));
	outcome("close", close(connection.us));
	await(connection.them, POLLERR | POLLHUP);
	outcome_receive("they receive", connection.them);
	close(connection.them);

	note("an end unread is no data");
	connection = open_connection();
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	outcome("close", close(connection.us));
	await(connection.them, POLLIN);
	outcome_receive("they receive", connection.them);
	close(connection.them);
}

static void case_much_to_deliver(void)
{
	enum { SIZE = 2000000 };
	static char block[SIZE], got[SIZE];
	struct connection connection = open_connection();
	size_t sent = 0, there = 0;

	for (int i = 0; i < SIZE; i++)
		block[i] = (char)(i * 7 + i / 253);
	set_nonblocking(connection.us, true);
	for (unsigned tries = 0; sent < SIZE && tries < 5;) {
		ssize_t n = send(connection.us, block + sent, SIZE - sent, 0);

		if (n > 0) {
			sent += (size_t)n;
		} else {
			tries++;
			settle();
		}
	}
	outcome("close", close(connection.us));
	for (;;) {
		ssize_t n = recv(connection.them, got + there, SIZE - there, 0);

		if (n <= 0) {
			outcome("they receive at last", n);
			break;
		}
		there += (size_t)n;
	}
	note("all of it: %s", there == sent && memcmp(block, got, sent) == 0 ? "yes" : "no");
	close(connection.them);
}

static void case_linger_zero(void)
{
	struct connection connection = open_connection();

	set_linger(connection.us, 1, 0);
	outcome("close", close(connection.us));
	await(connection.them, POLLERR | POLLHUP);
	outcome_poll("they poll", connection.them);
	outcome_receive("they receive", connection.them);
	outcome_receive("they receive", connection.them);
	close(connection.them);

	note("with data sent before");
	connection = open_connection();
	set_linger(connection.us, 1, 0);
	outcome("send", send(connection.us, "last words", 10, 0));
	await_bytes(connection.them, 10);
	outcome("close", close(connection.us));
	await(connection.them, POLLERR | POLLHUP);
	outcome_receive("they receive", connection.them);
	outcome_receive("they receive", connection.them);
	close(connection.them);

	note("after shutdown");
	connection = open_connection();
	set_linger(connection.us, 1, 0);
	outcome("shutdown", shutdown(connection.us, SHUT_WR));
	await(connection.them, POLLIN | POLLRDHUP);
	outcome("close", close(connection.us));
	settle();
	outcome_poll("they poll", connection.them);
	outcome_receive("they receive", connection.them);
	close(connection.them);

	note("set, but off");
	connection = open_connection();
	set_linger(connection.us, 0, 0);
	outcome("close", close(connection.us));
	await(connection.them, POLLIN);
	outcome_receive("they receive", connection.them);
	close(connection.them);
}

static void case_linger(void)
{
	struct connection connection = open_connection();
	int64_t start;
	size_t bytes;

	set_linger(connection.us, 1, 5);
	outcome("send", send(connection.us, "hello", 5, 0));
	start = now_ms();
	outcome("close", close(connection.us));
	note_duration("taken at once", now_ms() - start, 0, 4500);
	outcome_receive("they receive", connection.them);
	outcome_receive("they receive", connection.them);
	close(connection.them);

	note("they do not read");
	connection = open_connection();
	bytes = fill(connection.us);
	set_nonblocking(connection.us, false);
	set_linger(connection.us, 1, 1);
	start = now_ms();
	outcome("close", close(connection.us));
	note_duration("close waited", now_ms() - start, 900, 4500);
	note("drained %s", drain(connection.them, bytes) == bytes ? "all" : "not all");
	outcome_receive("they receive", connection.them);
	close(connection.them);
}

static void case_many(void)
{
	enum { ROUNDS = 100 };
	int good = 0;
	int lowest = dup(0), after;

	close(lowest);
	for (int i = 0; i < ROUNDS; i++) {
		struct connection connection = open_connection();
		char byte = 0;

		if (send(connection.us, "x", 1, 0) == 1 &&
		    recv(connection.them, &byte, 1, 0) == 1 && byte == 'x')
			good++;
		close_connection(connection);
	}
	after = dup(0);
	close(after);
	note("good %d, descriptors back: %s", good, lowest == after ? "yes" : "no");
}

static size_t filled;

static void drain_slowly(int fd)
{
	size_t got = 0;

	while (got < filled) {
		size_t part = filled - got < 50000 ? filled - got : 50000;

		got += drain(fd, part);
		pause_ms(1);
	}
}

/* The close sleeps while another thread is the one that sees what is acknowledged. */
static void case_linger_asleep(void)
{
	struct connection connection = open_connection();
	pthread_t thread;
	int64_t start;

	filled = fill(connection.us);
	set_nonblocking(connection.us, false);
	set_linger(connection.us, 1, 20);
	thread = later(200, drain_slowly, connection.them);
	start = now_ms();
	outcome("close", close(connection.us));
	note_duration("it took", now_ms() - start, 100, 10000);
	join(thread);
	outcome_receive("they receive", connection.them);
	close(connection.them);
}

static void receive_at_length(int fd)
{
	outcome_receive("we receive", fd);
}

/* Nothing ends, and nobody lingers, as long as a call is running. */
static void case_linger_in_a_call(void)
{
	struct connection connection = open_connection();
	pthread_t thread;
	int64_t start;

	set_linger(connection.us, 1, 20);
	thread = later(1, receive_at_length, connection.us);
	settle();
	start = now_ms();
	outcome("close", close(connection.us));
	note_duration("it took", now_ms() - start, 0, 5000);
	settle();
	outcome_poll("they poll", connection.them);
	send_all(connection.them, "hello", 5);
	join(thread);
	await(connection.them, POLLIN);
	outcome_receive("they receive", connection.them);
	close(connection.them);
}

static void show_kept(const char *name, int fd, const struct tcp_info *before)
{
	struct tcp_info info = { 0 };
	int mtu = -1, segment = -1, clamp = 0;

	must("TCP_INFO",
	     getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){ sizeof(info) }));
	note("%s: state %u, options %d, scales %d %d", name, info.tcpi_state,
	     info.tcpi_options == before->tcpi_options,
	     info.tcpi_snd_wscale == before->tcpi_snd_wscale,
	     info.tcpi_rcv_wscale == before->tcpi_rcv_wscale);
	note("segments %d %d %d, path %d, buffers %d, rtt %d, rto %d, cwnd %d",
	     info.tcpi_snd_mss == before->tcpi_snd_mss, info.tcpi_rcv_mss > 0,
	     info.tcpi_advmss == before->tcpi_advmss, info.tcpi_pmtu == before->tcpi_pmtu,
	     info.tcpi_rcv_space > 0, info.tcpi_rtt > 0, info.tcpi_rto > 0, info.tcpi_snd_cwnd > 0);
	outcome("TCP_MAXSEG",
		getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &(socklen_t){ sizeof(segment) }));
	note("%d", segment == (int)before->tcpi_snd_mss);
	outcome("the path's", family() == AF_INET ? getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu,
							       &(socklen_t){ sizeof(mtu) })
						  : getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu,
							       &(socklen_t){ sizeof(mtu) }));
	note("%d", mtu == (int)before->tcpi_pmtu);
	outcome("no clamp", setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, sizeof(clamp)));
}

static void end_first(struct connection connection)
{
	shutdown(connection.us, SHUT_WR);
	await(connection.them, POLLIN);
	close(connection.them);
}

static void end_last(struct connection connection)
{
	close(connection.them);
	await(connection.us, POLLIN);
	shutdown(connection.us, SHUT_WR);
}

static void be_reset(struct connection connection)
{
	reset(connection.them);
}

/* What TCP_INFO and its like tell of a connection that has ended, and what can still be set. */
static void case_told_afterwards(void)
{
	static void (*const ends[])(struct connection connection) = { end_first, end_last,
								      be_reset };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct connection connection = open_talking();
		struct tcp_info before = { 0 };

		must("TCP_INFO", getsockopt(connection.us, IPPROTO_TCP, TCP_INFO, &before,
					    &(socklen_t){ sizeof(before) }));
		show_kept("connected", connection.us, &before);
		ends[i](connection);
		await(connection.us, POLLHUP);
		show_kept("ended", connection.us, &before);
		close(connection.us);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "clean", case_clean, 0 },
		{ "unread", case_unread, 0 },
		{ "much to deliver", case_much_to_deliver, 0 },
		{ "linger zero", case_linger_zero, 0 },
		{ "linger", case_linger, 0 },
		{ "linger asleep", case_linger_asleep, 0 },
		{ "linger in a call", case_linger_in_a_call, 0 },
		{ "many", case_many, 0 },
		{ "told afterwards", case_told_afterwards, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
