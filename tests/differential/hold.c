/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: what TCP_CORK and MSG_MORE hold back, what lets it go at once and what does
 * not, as tcp(7) and send(2) say. How the held bytes are cut into segments is not looked at.
 */
#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

/* What is held goes by itself after 200 ms. */
#define AT_ONCE_MS 120
/* A busy machine may be late. */
#define ATTEMPTS 4

static void set(int fd, int name, int value)
{
	must("setsockopt", setsockopt(fd, IPPROTO_TCP, name, &value, sizeof(value)));
}

/* ---- ways to hold ---- */

static void by_cork(int fd)
{
	set(fd, TCP_CORK, 1);
	send_all(fd, "01234", 5);
	send_all(fd, "56789", 5);
}

static void by_cork_without_delay(int fd)
{
	set(fd, TCP_NODELAY, 1);
	set(fd, TCP_CORK, 1);
	send_all(fd, "0123456789", 10);
}

static void by_more(int fd)
{
	must("send", send(fd, "0123456789", 10, MSG_MORE));
}

static void by_more_without_delay(int fd)
{
	set(fd, TCP_NODELAY, 1);
	must("send", send(fd, "0123456789", 10, MSG_MORE));
}

static void by_vector_of_more(int fd)
{
	char first[] = "012", second[] = "3456789";
	struct iovec parts[] = { { first, 3 }, { second, 7 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	must("sendmsg", sendmsg(fd, &message, MSG_MORE));
}

/* ---- what comes next ---- */

static void no_delay(int fd)
{
	set(fd, TCP_NODELAY, 1);
}

static void uncork(int fd)
{
	set(fd, TCP_CORK, 0);
}

static void delay(int fd)
{
	set(fd, TCP_NODELAY, 0);
}

static void cork(int fd)
{
	set(fd, TCP_CORK, 1);
}

static void quick_ack(int fd)
{
	set(fd, TCP_QUICKACK, 1);
}

static void keep_alive(int fd)
{
	int on = 1;

	must("setsockopt", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
}

static void send_nothing(int fd)
{
	must("send", send(fd, "", 0, 0));
}

static void send_more(int fd)
{
	must("send", send(fd, "+", 1, MSG_MORE));
}

static void send_plainly(int fd)
{
	must("send", send(fd, "+", 1, 0));
}

static void end_writing(int fd)
{
	must("shutdown", shutdown(fd, SHUT_WR));
}

struct act {
	const char *name;
	void (*function)(int);
};

static const struct act holds[] = {
	{ "TCP_CORK", by_cork },
	{ "TCP_CORK and TCP_NODELAY", by_cork_without_delay },
	{ "MSG_MORE", by_more },
	{ "MSG_MORE and TCP_NODELAY", by_more_without_delay },
	{ "sendmsg with MSG_MORE", by_vector_of_more },
};

/* Whether the ten bytes are there soon after the act. */
static bool soon(const struct act *hold, const struct act *act)
{
	struct connection connection = open_connection();
	struct pollfd there = { .fd = connection.them, .events = POLLIN };
	bool arrived;

	hold->function(connection.us);
	act->function(connection.us);
	arrived = poll(&there, 1, AT_ONCE_MS) > 0;
	drain(connection.them, 10);
	close_connection(connection);
	return arrived;
}

static void go_through(const struct act *acts, size_t count, bool lets_go)
{
	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		for (size_t j = 0; j < count; j++) {
			bool arrived = soon(&holds[i], &acts[j]);

			for (int k = 1; arrived != lets_go && k < ATTEMPTS; k++)
				arrived = soon(&holds[i], &acts[j]);
			note("%s, %s: %s", holds[i].name, acts[j].name,
			     arrived ? "at once" : "held");
		}
	}
}

static void case_lets_go(void)
{
	static const struct act acts[] = {
		{ "TCP_NODELAY on", no_delay },
		{ "TCP_CORK off", uncork },
		{ "shutdown", end_writing },
	};

	go_through(acts, sizeof(acts) / sizeof(acts[0]), true);
}

static void case_holds_on(void)
{
	static const struct act acts[] = {
		{ "TCP_NODELAY off", delay },	  { "TCP_CORK on", cork },
		{ "TCP_QUICKACK", quick_ack },	  { "SO_KEEPALIVE", keep_alive },
		{ "send nothing", send_nothing }, { "send with MSG_MORE", send_more },
	};

	go_through(acts, sizeof(acts) / sizeof(acts[0]), false);
}

static void case_plain_send(void)
{
	static const struct act act = { "send", send_plainly };

	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		bool corked = i < 2, arrived = soon(&holds[i], &act);

		for (int k = 1; arrived == corked && k < ATTEMPTS; k++)
			arrived = soon(&holds[i], &act);
		note("%s, send: %s", holds[i].name, arrived ? "at once" : "held");
	}
}

/* It is not held for ever: somebody who never uncorks is still heard. */
static void case_timer(void)
{
	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		struct connection connection = open_connection();

		holds[i].function(connection.us);
		note("%s: %zu arrive in the end", holds[i].name, drain(connection.them, 10));
		close_connection(connection);
	}
}

static void case_close(void)
{
	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		struct connection connection = open_connection();

		holds[i].function(connection.us);
		close(connection.us);
		note("%s, close: %zu arrive", holds[i].name, drain(connection.them, 20));
		close(connection.them);
	}
}

/* What is corked is sent after 200 ms all the same: a look that comes so late says nothing. */
static ssize_t look_at_corked(struct connection connection)
{
	ssize_t seen = 0;
	char byte;

	for (int i = 0; i < 50; i++) {
		int64_t start = now_ms();

		send_all(connection.us, "y", 1);
		pause_ms(40);
		seen = recv(connection.them, &byte, 1, MSG_DONTWAIT);
		if (now_ms() - start < 150)
			break;
		if (seen < 0)
			drain(connection.them, 1);
		errno = 0;
	}
	return seen;
}

/* TCP_NODELAY sends what Nagle's algorithm holds back behind a segment that is on its way. */
static void case_nagle(void)
{
	struct connection connection = open_connection();

	for (int i = 0; i < 20; i++)
		send_all(connection.us, "x", 1);
	set(connection.us, TCP_NODELAY, 1);
	note("drained %zu", drain(connection.them, 20));
	by_cork(connection.us);
	no_delay(connection.us);
	note("drained %zu", drain(connection.them, 10));
	/* It is held again: the push was for what was there. */
	outcome("corked still", look_at_corked(connection));
	uncork(connection.us);
	note("drained %zu", drain(connection.them, 1));
	close_connection(connection);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "lets go", case_lets_go, 0 },	      { "holds on", case_holds_on, 0 },
		{ "plain send", case_plain_send, 0 }, { "timer", case_timer, 0 },
		{ "close", case_close, 0 },	      { "nagle", case_nagle, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
