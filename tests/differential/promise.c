/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: what options promise, looked at from outside. (Which values they take and
 * tell is options.c's; what holds segments back is hold.c's.)
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void set(int fd, int level, int name, int value)
{
	must("setsockopt", setsockopt(fd, level, name, &value, sizeof(value)));
}

static int get(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	must("getsockopt", getsockopt(fd, level, name, &value, &length));
	return value;
}

static bool readable(int fd, int ms)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	return poll(&entry, 1, ms) > 0;
}

/* ip(7): packets from further away than so many hops do not exist. */
static void case_least_ttl(void)
{
	int level = family() == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	int name = family() == AF_INET ? IP_MINTTL : 73; /* IPV6_MINHOPCOUNT */
	struct connection connection = open_connection();

	set(connection.us, level, name, 64);
	send_all(connection.them, "a", 1);
	note("64: %zu", drain(connection.us, 1));
	set(connection.us, level, name, 65);
	send_all(connection.them, "b", 1);
	note("65: %s", readable(connection.us, 300) ? "data" : "nothing");
	set(connection.us, level, name, 0);
	note("0: %zu", drain(connection.us, 1)); /* it is sent again */
	close_connection(connection);
}

/* Who has it bound to a listener hands it down. */
static void case_least_ttl_of_listener(void)
{
	int level = family() == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	int name = family() == AF_INET ? IP_MINTTL : 73;
	int listener = our_listener(1), us, them;
	struct address address = name_of(listener);

	set(listener, level, name, 60);
	first_use(listener);
	them = them_connect(&address);
	us = accept_one(listener);
	note("accepted: %d", get(us, level, name));
	send_all(them, "a", 1);
	note("drained %zu", drain(us, 1));
	close(us);
	close(them);
	close(listener);
}

/* tcp(7): neither end sends larger segments. The peer's kernel may take 12 bytes for timestamps. */
static void case_segment_size(void)
{
	int listener = their_listener(1), us = open_socket(0), them;
	struct address address = name_of(listener);

	set(us, IPPROTO_TCP, TCP_MAXSEG, 650);
	must("connect", connect(us, (struct sockaddr *)&address.storage, address.length));
	them = accept_one(listener);
	note("we call: ours %d, theirs %d", get(us, IPPROTO_TCP, TCP_MAXSEG) / 100,
	     get(them, IPPROTO_TCP, TCP_MAXSEG) / 100);
	close(us);
	close(them);
	close(listener);

	listener = our_listener(1);
	set(listener, IPPROTO_TCP, TCP_MAXSEG, 650);
	address = name_of(listener);
	first_use(listener);
	them = them_connect(&address);
	us = accept_one(listener);
	note("they call: ours %d, theirs %d", get(us, IPPROTO_TCP, TCP_MAXSEG) / 100,
	     get(them, IPPROTO_TCP, TCP_MAXSEG) / 100);
	send_all(us, "hello", 5);
	note("drained %zu", drain(them, 5));
	close(us);
	close(them);
	close(listener);
}

/* tcp(7): a connection is handed over with its first data, or after a while without. */
static void case_defer_accept(void)
{
	int listener = our_listener(5), us, them;
	struct address address = name_of(listener);
	int64_t begin;
	char byte;

	set(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
	first_use(listener);
	them = them_connect(&address);
	note("without data: %s", readable(listener, 300) ? "ready" : "not ready");
	send_all(them, "x", 1);
	note("with data: %s", readable(listener, 5000) ? "ready" : "not ready");
	us = accept_one(listener);
	outcome("recv", recv(us, &byte, 1, MSG_DONTWAIT));
	close(us);
	close(them);

	them = them_connect(&address);
	shutdown(them, SHUT_WR);
	note("ended: %s", readable(listener, 5000) ? "ready" : "not ready");
	us = accept_one(listener);
	await(us, POLLRDHUP);
	outcome("recv", recv(us, &byte, 1, 0));
	close(us);
	close(them);

	them = them_connect(&address);
	reset(them);
	note("reset: %s", readable(listener, 300) ? "ready" : "not ready");

	them = them_connect(&address);
	begin = now_ms();
	note("silent: %s", readable(listener, 10000) ? "ready" : "not ready");
	note_duration("after", now_ms() - begin, 600, 5000);
	us = accept_one(listener);
	outcome("recv", recv(us, &byte, 1, MSG_DONTWAIT));
	send_all(us, "y", 1);
	note("drained %zu", drain(them, 1));
	close(us);
	close(them);
	close(listener);
}

/* tcp(7): poll() and send() do not let more than so much wait for being sent. */
static void case_not_sent(void)
{
	struct connection connection = open_connection();
	int unsent = -1;
	size_t bytes;

	set(connection.us, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 16384);
	bytes = fill(connection.us);
	must("SIOCOUTQNSD", ioctl(connection.us, SIOCOUTQNSD, &unsent));
	note("unsent: %s", unsent >= 8192 && unsent <= 16384 + 65536 ? "a little" : "odd");
	note("sent: %s", bytes > (size_t)unsent ? "more" : "not more");
	note("drained %s", drain(connection.them, bytes) == bytes ? "all" : "not all");
	await(connection.us, POLLOUT);
	must("SIOCOUTQNSD", ioctl(connection.us, SIOCOUTQNSD, &unsent));
	note("unsent: %d", unsent);
	close_connection(connection);
}

static void case_peer_name(void)
{
	static const socklen_t rooms[] = { 0, 4, 8, 16, 28, 100 };
	struct connection connection = open_connection();
	int fd = open_socket(0);

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		struct sockaddr_storage name = { 0 };
		socklen_t length = rooms[i];

		outcome_at("fresh", (int)rooms[i],
			   getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &name, &length));
		length = rooms[i];
		outcome_at("connected", (int)rooms[i],
			   getsockopt(connection.us, SOL_SOCKET, SO_PEERNAME, &name, &length));
		note("length %u, family %s", length, name.ss_family == family() ? "ours" : "none");
	}
	close(fd);
	close_connection(connection);
}

static void show_zero_copy(const char *name, int fd, socklen_t length)
{
	struct tcp_zerocopy_receive receive = { 0 };
	int result;

	result = getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &receive, &length);
	outcome(name, result);
	if (result == 0)
		note("length %u: mapped %u, to be copied %u, there %u", length, receive.length,
		     receive.recv_skip_hint, receive.inq);
}

/* Little data lies on no page of its own. */
static void case_zero_copy_receive(void)
{
	struct connection connection = open_connection();

	show_zero_copy("nothing", connection.us, 24);
	send_all(connection.them, "hello", 5);
	await_bytes(connection.us, 5);
	show_zero_copy("five", connection.us, 24);
	show_zero_copy("little room", connection.us, 16);
	show_zero_copy("less", connection.us, 12);
	show_zero_copy("too little", connection.us, 8);
	note("drained %zu", drain(connection.us, 5));
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	show_zero_copy("the end", connection.us, 24);
	close_connection(connection);
}

/* TCP_LINGER2 -1: after the end the peer's data is answered by a reset. */
static void case_short_linger(void)
{
	struct connection connection = open_connection();

	set(connection.us, IPPROTO_TCP, TCP_LINGER2, 1);
	close(connection.us);
	await(connection.them, POLLRDHUP);
	pause_ms(2500); /* FIN_WAIT_2 is over */
	outcome("send", send(connection.them, "x", 1, MSG_NOSIGNAL));
	await(connection.them, POLLHUP);
	outcome("send again", send(connection.them, "x", 1, MSG_NOSIGNAL));
	close(connection.them);
}

/* SO_BUF_LOCK, SO_RCVBUFFORCE: what a window may become. */
static void case_forced_buffers(void)
{
	struct connection connection = open_connection();

	set(connection.us, SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20);
	note("RCVBUF %d, locks %d", get(connection.us, SOL_SOCKET, SO_RCVBUF),
	     get(connection.us, SOL_SOCKET, SO_BUF_LOCK));
	set(connection.us, SOL_SOCKET, SO_SNDBUFFORCE, 1 << 20);
	note("SNDBUF %d, locks %d", get(connection.us, SOL_SOCKET, SO_SNDBUF),
	     get(connection.us, SOL_SOCKET, SO_BUF_LOCK));
	set(connection.us, SOL_SOCKET, SO_BUF_LOCK, 0);
	note("locks %d", get(connection.us, SOL_SOCKET, SO_BUF_LOCK));
	close_connection(connection);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "least TTL", case_least_ttl, 0 },
		{ "least TTL of a listener", case_least_ttl_of_listener, 0 },
		{ "segment size", case_segment_size, 0 },
		{ "defer accept", case_defer_accept, 30 },
		{ "not sent", case_not_sent, 0 },
		{ "peer name", case_peer_name, 0 },
		{ "zero copy receive", case_zero_copy_receive, 0 },
		{ "short linger", case_short_linger, 0 },
		{ "forced buffers", case_forced_buffers, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
