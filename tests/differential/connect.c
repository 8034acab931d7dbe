/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: connect(2), good and bad, blocking or not, once or twice. */
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define CLOSED_PORT 1 /* tcpmux: nobody serves it */

static int connect_at(int fd, const struct address *address)
{
	return connect(fd, (const struct sockaddr *)&address->storage, address->length);
}

static void outcome_names(int fd)
{
	struct address address = { .length = sizeof(address.storage) };
	struct sockaddr *base = (struct sockaddr *)&address.storage;
	int result = getsockname(fd, base, &address.length);

	outcome("getsockname", result);
	if (result == 0)
		note("%s", address_text(base, address.length));
	address.length = sizeof(address.storage);
	result = getpeername(fd, base, &address.length);
	outcome("getpeername", result);
	if (result == 0)
		note("%s", address_text(base, address.length));
}

static void outcome_error(const char *name, int fd)
{
	int error = -1;
	socklen_t length = sizeof(error);

	must("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
	note("SO_ERROR %s: %s", name, errno_name(error));
}

static void outcome_poll(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	outcome("poll", poll(&entry, 1, 0));
	note("%s", poll_bits((uint32_t)entry.revents));
}

static void case_good(void)
{
	int listener = their_listener(5), fd = open_socket(0), peer;
	struct address address = name_of(listener);

	outcome_names(fd);
	outcome("connect", connect_at(fd, &address));
	peer = accept_one(listener);
	outcome_names(fd);
	outcome_poll(fd);
	outcome_error("after it", fd);
	outcome("connect again", connect_at(fd, &address));
	address = their_address(CLOSED_PORT);
	outcome("connect elsewhere", connect_at(fd, &address));
	outcome("it still works", send(fd, "x", 1, 0));
	note("drained %zu", drain(peer, 1));
	close(fd);
	close(peer);
	close(listener);
}

static void case_non_blocking(void)
{
	int listener = their_listener(5), fd = open_socket(SOCK_NONBLOCK), peer;
	struct address address = name_of(listener);

	outcome_poll(fd);
	outcome("connect", connect_at(fd, &address));
	await(fd, POLLOUT);
	outcome_poll(fd);
	outcome_error("after it", fd);
	outcome("connect again", connect_at(fd, &address));
	outcome("and again", connect_at(fd, &address));
	outcome_names(fd);
	peer = accept_one(listener);
	outcome("recv", recv(fd, &address, 1, 0));
	outcome("send", send(fd, "x", 1, 0));
	note("drained %zu", drain(peer, 1));
	close(fd);
	close(peer);
	close(listener);
}

static void case_refused(void)
{
	struct address nobody = their_address(CLOSED_PORT);
	int fd = open_socket(0), listener, peer;

	outcome("connect", connect_at(fd, &nobody));
	outcome_error("after it", fd);
	outcome_poll(fd);
	outcome("connect again", connect_at(fd, &nobody));
	outcome("recv", recv(fd, &nobody, 1, 0));
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	listener = their_listener(5);

	struct address address = name_of(listener);

	outcome("connect to a listener", connect_at(fd, &address));
	peer = accept_one(listener);
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	note("drained %zu", drain(peer, 1));
	close(fd);
	close(peer);
	close(listener);
}

static void case_refused_later(void)
{
	struct address nobody = their_address(CLOSED_PORT);
	int fd = open_socket(SOCK_NONBLOCK);
	char byte;

	outcome("connect", connect_at(fd, &nobody));
	await(fd, POLLHUP);
	outcome_poll(fd);
	outcome_error("first", fd);
	outcome_error("second", fd);
	outcome_poll(fd);
	outcome("recv", recv(fd, &byte, 1, 0));
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome_names(fd);
	close(fd);

	fd = open_socket(SOCK_NONBLOCK);
	outcome("connect", connect_at(fd, &nobody));
	await(fd, POLLHUP);
	outcome("recv tells it", recv(fd, &byte, 1, 0));
	outcome("recv again", recv(fd, &byte, 1, 0));
	outcome_error("after recv", fd);
	close(fd);

	fd = open_socket(SOCK_NONBLOCK);
	outcome("connect", connect_at(fd, &nobody));
	await(fd, POLLHUP);
	outcome("send tells it", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome("send again", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome_error("after send", fd);
	close(fd);

	fd = open_socket(SOCK_NONBLOCK);
	outcome("connect", connect_at(fd, &nobody));
	await(fd, POLLHUP);
	outcome("connect tells it", connect_at(fd, &nobody));
	outcome_error("after connect", fd);
	await(fd, POLLHUP);
	outcome("connect once more", connect_at(fd, &nobody));
	close(fd);
}

static void dissolve_and_look(int fd)
{
	struct sockaddr unspecified = { .sa_family = AF_UNSPEC };
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT };
	char byte;

	settle();
	outcome("AF_UNSPEC", connect(fd, &unspecified, sizeof(unspecified)));
	poll(&entry, 1, 0);
	note("%s", poll_bits((uint32_t)(uint16_t)entry.revents));
	outcome("recv", recv(fd, &byte, 1, MSG_DONTWAIT));
	outcome("recv again", recv(fd, &byte, 1, MSG_DONTWAIT));
	close(fd);
}

/* Only what has not ended ends with an error; one that is there already remains. */
static void case_dissolve_what_has_ended(void)
{
	struct connection connection = open_connection();

	note("they have reset it");
	reset(connection.them);
	dissolve_and_look(connection.us);
	note("they have reset it behind their end");
	connection = open_connection();
	shutdown(connection.them, SHUT_WR);
	settle();
	reset(connection.them);
	dissolve_and_look(connection.us);
	note("they have ended first");
	connection = open_connection();
	close(connection.them);
	settle();
	shutdown(connection.us, SHUT_WR);
	dissolve_and_look(connection.us);
	note("we have ended first");
	connection = open_connection();
	shutdown(connection.us, SHUT_WR);
	settle();
	close(connection.them);
	dissolve_and_look(connection.us);
}

static void case_dissolve(void)
{
	struct sockaddr unspecified = { .sa_family = AF_UNSPEC };
	int listener = their_listener(5), fd = open_socket(0), peer;
	struct address address = name_of(listener);
	char byte;

	outcome("fresh, AF_UNSPEC", connect(fd, &unspecified, sizeof(unspecified)));
	outcome("connect", connect_at(fd, &address));
	peer = accept_one(listener);
	outcome("connected, AF_UNSPEC", connect(fd, &unspecified, sizeof(unspecified)));
	await(peer, POLLIN);
	outcome("they see", recv(peer, &byte, 1, 0));
	outcome_names(fd);
	outcome("recv", recv(fd, &byte, 1, MSG_DONTWAIT));
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome_poll(fd);
	close(peer);
	outcome("connect again", connect_at(fd, &address));
	peer = accept_one(listener);
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	note("drained %zu", drain(peer, 1));
	close(fd);
	close(peer);
	close(listener);
}

static void case_bad_arguments(void)
{
	int listener = their_listener(5), fd = open_socket(0), pipes[2];
	struct address address = name_of(listener), other = address;

	outcome("short", connect(fd, (struct sockaddr *)&address.storage, 4));
	outcome("of no length", connect(fd, (struct sockaddr *)&address.storage, 0));
	outcome("long", connect(fd, (struct sockaddr *)&address.storage, 4096));
	outcome("bad pointer", connect(fd, bad_pointer(), address.length));
	other.storage.ss_family = AF_UNIX;
	outcome("wrong family", connect_at(fd, &other));
	other.storage.ss_family = family() == AF_INET ? AF_INET6 : AF_INET;
	other.length = sizeof(struct sockaddr_in6);
	outcome("the other family", connect_at(fd, &other));
	outcome("closed descriptor", connect(-1, (struct sockaddr *)&address.storage, 16));
	must("pipe", pipe(pipes));
	outcome("a pipe", connect_at(pipes[0], &address));
	close(pipes[0]);
	close(pipes[1]);
	outcome("good after all", connect_at(fd, &address));
	outcome("short, of a connection", connect(fd, (struct sockaddr *)&address.storage, 4));
	outcome("of one byte", connect(fd, (struct sockaddr *)&address.storage, 1));
	other.storage.ss_family = AF_UNIX;
	outcome("wrong family, of a connection", connect_at(fd, &other));
	close(fd);
	fd = our_listener(1);
	outcome("a listener", connect_at(fd, &address));
	close(fd);
	close(listener);
}

static void case_bound(void)
{
	int listener = their_listener(5), fd = open_socket(0), peer;
	struct address address = name_of(listener), local = our_address(0), after, seen;

	outcome("bind", bind(fd, (struct sockaddr *)&local.storage, local.length));
	local = name_of(fd);
	outcome("connect", connect_at(fd, &address));
	peer = accept_one(listener);
	after = name_of(fd);
	note("the same port: %s", port_of(&local) == port_of(&after) ? "yes" : "no");
	seen.length = sizeof(seen.storage);
	must("getpeername", getpeername(peer, (struct sockaddr *)&seen.storage, &seen.length));
	note("they see it: %s", port_of(&local) == port_of(&seen) ? "yes" : "no");
	close(fd);
	close(peer);

	fd = open_socket(0);
	local = any_address(0);
	outcome("bind to any", bind(fd, (struct sockaddr *)&local.storage, local.length));
	local = name_of(fd);
	outcome("connect", connect_at(fd, &address));
	peer = accept_one(listener);
	after = name_of(fd);
	note("the same port: %s", port_of(&local) == port_of(&after) ? "yes" : "no");
	outcome_names(fd);
	outcome("bind now", bind(fd, (struct sockaddr *)&local.storage, local.length));
	close(fd);
	close(peer);
	close(listener);
}

static void case_same_port_twice(void)
{
	int listener = their_listener(5), first = open_socket(0), second = open_socket(0);
	struct address address = name_of(listener), local = our_address(0);
	int on = 1;

	setsockopt(first, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	outcome("bind", bind(first, (struct sockaddr *)&local.storage, local.length));
	local = name_of(first);
	outcome("bind the second", bind(second, (struct sockaddr *)&local.storage, local.length));
	outcome("connect", connect_at(first, &address));
	outcome("connect the second", connect_at(second, &address));
	close(first);
	close(second);
	close(listener);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
	(void)number;
	signals++;
}

static void case_nobody_there(void)
{
	struct address nobody = their_address(80);
	const char *text = getenv("STEP_NOBODY");
	struct sigaction action = { .sa_handler = count_signal };
	struct timeval limit = { .tv_usec = 100000 };
	int fd = open_socket(SOCK_NONBLOCK);

	if (!text) {
		note("needs a network");
		close(fd);
		return;
	}
	if (family() == AF_INET)
		inet_pton(AF_INET, text, &((struct sockaddr_in *)&nobody.storage)->sin_addr);
	else
		inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&nobody.storage)->sin6_addr);
	outcome("connect", connect_at(fd, &nobody));
	outcome("connect again", connect_at(fd, &nobody));
	outcome_poll(fd);
	outcome("send", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome("recv", recv(fd, &limit, 1, 0));
	outcome_error("meanwhile", fd);
	await(fd, POLLHUP);
	outcome_error("at last", fd);
	close(fd);

	fd = open_socket(0);
	sigaction(SIGALRM, &action, NULL);
	signal_later(100, SIGALRM);
	outcome("connect, interrupted", connect_at(fd, &nobody));
	set_nonblocking(fd, true);
	outcome("connect again", connect_at(fd, &nobody));
	close(fd);
	fd = open_socket(0);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	outcome("connect, with a limit", connect_at(fd, &nobody));
	outcome("connect again", connect_at(fd, &nobody));
	close(fd);
	fd = open_socket(0);
	outcome("connect, blocking", connect_at(fd, &nobody));
	outcome_error("after it", fd);
	close(fd);
}

static void case_no_route(void)
{
	struct address far = their_address(80);
	const char *text = getenv("STEP_NO_ROUTE");
	int fd = open_socket(0);

	if (!text) {
		note("needs a network");
		close(fd);
		return;
	}
	if (family() == AF_INET)
		inet_pton(AF_INET, text, &((struct sockaddr_in *)&far.storage)->sin_addr);
	else
		inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&far.storage)->sin6_addr);
	outcome("connect", connect_at(fd, &far));
	outcome_error("after it", fd);
	close(fd);
}

static void case_data_at_once(void)
{
	int listener = their_listener(5), fd = open_socket(0), peer;
	struct address address = name_of(listener);
	char buffer[8] = { 0 };

	outcome("sendto with FASTOPEN",
		sendto(fd, "abc", 3, MSG_FASTOPEN, (struct sockaddr *)&address.storage,
		       address.length));
	peer = accept_one(listener);
	outcome("they get", recv(peer, buffer, 3, MSG_WAITALL));
	show("data", buffer, 3);
	close(fd);
	close(peer);
	close(listener);
}

static void case_self(void)
{
	struct address address = our_address(0);
	int fd = open_socket(0);
	char buffer[8] = { 0 };

	if (!in_process()) {
		note("on one host only");
		close(fd);
		return;
	}
	outcome("bind", bind(fd, (struct sockaddr *)&address.storage, address.length));
	address = name_of(fd);
	outcome("connect to itself", connect_at(fd, &address));
	outcome("send", send(fd, "abc", 3, MSG_NOSIGNAL));
	outcome("recv", recv(fd, buffer, 3, 0));
	show("data", buffer, 3);
	close(fd);
}

static void case_to_any(void)
{
	int listener = their_listener(5), fd = open_socket(0), peer;
	struct address address = name_of(listener), any = any_address(port_of(&address));

	if (in_process()) {
		outcome("connect to any", connect_at(fd, &any));
		peer = accept_one(listener);
		outcome_names(fd);
		close(peer);
	} else {
		note("on one host only");
	}
	close(fd);
	fd = open_socket(0);
	any = their_address(0);
	outcome("port 0", connect_at(fd, &any));
	close(fd);
	close(listener);
}

/* A queue of one takes two, as everywhere on Linux; who comes then waits, and gets in later. */
static void case_queue_full(void)
{
	int listener = their_listener(1), fds[3], peers[3];
	struct address address = name_of(listener);
	char byte = 0;

	for (int i = 0; i < 3; i++) {
		fds[i] = open_socket(SOCK_NONBLOCK);
		outcome_at("connect", i, connect_at(fds[i], &address));
		settle();
	}
	for (int i = 0; i < 2; i++)
		outcome_poll(fds[i]);
	if (in_process())
		outcome_poll(fds[2]);
	for (int i = 0; i < 3; i++)
		peers[i] = accept_one(listener);
	await(fds[2], POLLOUT);
	outcome("send", send(fds[2], "x", 1, 0));
	outcome("recv", recv(peers[2], &byte, 1, 0));
	for (int i = 0; i < 3; i++) {
		close(fds[i]);
		close(peers[i]);
	}
	close(listener);
}

/* Completions are wanted, and come or are refused; they are never waited for in vain. */
static void case_zero_copy(void)
{
	int listener = their_listener(1), fd = open_socket(0), peer, on = 1;
	struct address address = name_of(listener);
	char control[128];
	struct msghdr header = { .msg_control = control, .msg_controllen = sizeof(control) };

	outcome("SO_ZEROCOPY", setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)));
	outcome("connect", connect_at(fd, &address));
	peer = accept_one(listener);
	outcome("send", send(fd, "abc", 3, MSG_ZEROCOPY));
	note("drained %zu", drain(peer, 3));
	await(fd, POLLERR);
	outcome("the completion", recvmsg(fd, &header, MSG_ERRQUEUE));
	outcome("no other", recvmsg(fd, &header, MSG_ERRQUEUE));
	close(fd);
	close(peer);
	close(listener);
}

static void case_given_up(void)
{
	int listener = their_listener(128);
	struct address address = name_of(listener);
	struct connection connection;

	for (int i = 0; i < 100; i++) {
		int fd = open_socket(SOCK_NONBLOCK);

		connect_at(fd, &address);
		close(fd);
	}
	settle();
	close(listener);
	connection = open_connection();
	outcome("all is well after it", send(connection.us, "x", 1, 0));
	note("drained %zu", drain(connection.them, 1));
	close_connection(connection);
}

static void case_many(void)
{
	enum { COUNT = 50 };
	int listener = their_listener(COUNT), fds[COUNT], peers[COUNT], good = 0;
	struct address address = name_of(listener);

	for (int i = 0; i < COUNT; i++) {
		fds[i] = open_socket(SOCK_NONBLOCK);
		connect_at(fds[i], &address);
	}
	for (int i = 0; i < COUNT; i++) {
		unsigned char number = (unsigned char)i;

		await(fds[i], POLLOUT);
		must("send", send(fds[i], &number, 1, 0));
		peers[i] = accept_one(listener);
	}
	for (int i = 0; i < COUNT; i++) {
		unsigned char number;

		if (recv(peers[i], &number, 1, 0) == 1)
			good++;
		close(peers[i]);
		close(fds[i]);
	}
	note("good %d", good);
	close(listener);
}

/* connect() and bind() keep out of each other's way: a port that bind() has found stays free. */
static void case_ports(void)
{
	int connections[8], odd = 0;
	int listener = their_listener(8);
	struct address address = name_of(listener), name;

	for (int i = 0; i < 8; i++) {
		connections[i] = connect_to(&address);
		name = name_of(connections[i]);
		odd += port_of(&name) & 1;
	}
	note("odd ports of connect: %d", odd);
	for (int i = 0; i < 8; i++)
		close(connections[i]);
	close(listener);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "good", case_good, 0 },
		{ "non-blocking", case_non_blocking, 0 },
		{ "refused", case_refused, 0 },
		{ "refused later", case_refused_later, 0 },
		{ "dissolve what has ended", case_dissolve_what_has_ended, 0 },
		{ "dissolve", case_dissolve, 0 },
		{ "bad arguments", case_bad_arguments, 0 },
		{ "bound", case_bound, 0 },
		{ "same port twice", case_same_port_twice, 0 },
		{ "no route", case_no_route, 0 },
		{ "data at once", case_data_at_once, 0 },
		{ "self", case_self, 0 },
		{ "to any", case_to_any, 0 },
		{ "many", case_many, 0 },
		{ "ports", case_ports, 0 },
		{ "queue full", case_queue_full, 0 },
		{ "given up", case_given_up, 0 },
		{ "zero copy", case_zero_copy, 0 },
		{ "nobody there", case_nobody_there, 30 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
