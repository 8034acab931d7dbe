/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: bind(2), SO_REUSEADDR, SO_REUSEPORT and who may use a port after whom. */
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum reuse { NONE, ADDRESS, PORT };

static const char *const reuse_names[] = { "none", "REUSEADDR", "REUSEPORT" };

static int bind_at(int fd, const struct address *address)
{
	return bind(fd, (const struct sockaddr *)&address->storage, address->length);
}

static int socket_with(enum reuse reuse)
{
	int fd = open_socket(0), on = 1;

	if (reuse != NONE)
		must("reuse",
		     setsockopt(fd, SOL_SOCKET, reuse == ADDRESS ? SO_REUSEADDR : SO_REUSEPORT, &on,
				sizeof(on)));
	return fd;
}

static struct address with_port(struct address address, uint16_t port)
{
	((struct sockaddr_in *)&address.storage)->sin_port = htons(port);
	return address;
}

/* The first is bound (and listens); what may the second do at the same port? */
static void try_connection(enum reuse first, bool first_any, bool listening, enum reuse second,
			   bool second_any)
{
	struct address address = first_any ? any_address(0) : our_address(0), bound, other;
	int a = socket_with(first), b = socket_with(second), bind_result, listen_result = -1;

	must("bind", bind_at(a, &address));
	if (listening)
		must("listen", listen(a, 5));
	bound = name_of(a);
	other = with_port(second_any ? any_address(0) : our_address(0), port_of(&bound));
	bind_result = bind_at(b, &other);

	const char *bind_text = bind_result == 0 ? "good" : errno_name(errno);
	const char *listen_text = "-", *first_text = "-";

	if (bind_result == 0) {
		listen_result = listen(b, 5);
		listen_text = listen_result == 0 ? "good" : errno_name(errno);
		if (!listening)
			first_text = listen(a, 5) == 0 ? "good" : errno_name(errno);
	}
	note("%s %s %s, %s %s: bind %s, listen %s, first's listen %s", reuse_names[first],
	     first_any ? "any" : "ours", listening ? "listening" : "bound", reuse_names[second],
	     second_any ? "any" : "ours", bind_text, listen_text, first_text);
	close(a);
	close(b);
}

static void case_two_at_a_port(void)
{
	for (int i = 0; i < 72; i++)
		try_connection((enum reuse)(i % 3), (i / 9) & 1, (i / 18) & 1,
			       (enum reuse)(i / 3 % 3), (i / 36) & 1);
}

static void case_port_0(void)
{
	int a = open_socket(0), b = open_socket(0);
	struct address address = our_address(0), first, second;

	outcome("bind", bind_at(a, &address));
	outcome("bind another", bind_at(b, &address));
	first = name_of(a);
	second = name_of(b);
	note("%s", address_text(&first.storage, first.length));
	note("ports differ: %s", port_of(&first) != port_of(&second) ? "yes" : "no");
	note("not a low one: %s", port_of(&first) >= 1024 ? "yes" : "no");
	outcome("bind again", bind_at(a, &address));
	outcome("listen", listen(a, 1));
	second = name_of(a);
	note("the port stays: %s", port_of(&first) == port_of(&second) ? "yes" : "no");
	outcome("bind a listener", bind_at(a, &address));
	close(a);
	close(b);
	a = open_socket(0);
	outcome("bind to the port once more", bind_at(a, &first));
	close(a);
}

static void case_bad_arguments(void)
{
	int fd = open_socket(0);
	struct address address = our_address(0), far = our_address(0), other = our_address(0);
	struct sockaddr_un path = { .sun_family = AF_UNIX };

	outcome("short", bind(fd, (struct sockaddr *)&address.storage, 4));
	outcome("long", bind(fd, (struct sockaddr *)&address.storage, 4096));
	outcome("bad pointer", bind(fd, bad_pointer(), address.length));
	outcome("AF_UNIX", bind(fd, (struct sockaddr *)&path, sizeof(path)));
	outcome("closed descriptor", bind(-1, (struct sockaddr *)&address.storage, address.length));
	if (family() == AF_INET)
		inet_pton(AF_INET, "198.19.77.77", &((struct sockaddr_in *)&far.storage)->sin_addr);
	else
		inet_pton(AF_INET6, "fd77::77", &((struct sockaddr_in6 *)&far.storage)->sin6_addr);
	outcome("nobody's address", bind_at(fd, &far));
	other.storage.ss_family = family() == AF_INET ? AF_INET6 : AF_INET;
	other.length = sizeof(struct sockaddr_in6);
	outcome("the other family", bind_at(fd, &other));
	outcome("good after all", bind_at(fd, &address));
	close(fd);
}

static void case_reuse_port_shares(void)
{
	struct address address = our_address(0);
	int a = socket_with(PORT), b = socket_with(PORT), taken = 0, them[8];

	outcome("bind", bind_at(a, &address));
	address = name_of(a);
	outcome("bind the second", bind_at(b, &address));
	outcome("listen", listen(a, 8));
	outcome("listen, the second", listen(b, 8));
	first_use(a);
	first_use(b);
	for (int i = 0; i < 8; i++)
		them[i] = them_connect(&address);
	set_nonblocking(a, true);
	set_nonblocking(b, true);
	for (int64_t end = now_ms() + 5000; taken < 8 && now_ms() < end;) {
		int fd = accept(a, NULL, NULL);

		if (fd < 0)
			fd = accept(b, NULL, NULL);
		if (fd < 0) {
			pause_ms(1);
			continue;
		}
		taken++;
		close(fd);
	}
	note("taken by either: %d", taken);
	close(b);

	int last = them_connect(&address), fd;

	await(a, POLLIN);
	fd = accept(a, NULL, NULL);
	note("by the one that is left: %s", fd >= 0 ? "yes" : errno_name(errno));
	close(fd);
	close(last);
	for (int i = 0; i < 8; i++)
		close(them[i]);
	close(a);
}

static void try_again(const char *name, struct address address, enum reuse reuse)
{
	int fd = socket_with(reuse), result = bind_at(fd, &address);

	note("%s, %s: bind %s", name, reuse_names[reuse], result == 0 ? "good" : errno_name(errno));
	if (result == 0)
		outcome("listen", listen(fd, 1));
	close(fd);
}

static void case_after_close(void)
{
	struct address address;
	char byte;
	int listener = socket_with(ADDRESS), them, us;

	address = our_address(0);
	must("bind", bind_at(listener, &address));
	must("listen", listen(listener, 5));
	first_use(listener);
	address = name_of(listener);
	them = them_connect(&address);
	us = accept_one(listener);
	close(listener);
	try_again("a connection lives", address, NONE);
	try_again("a connection lives", address, ADDRESS);
	close(us);
	await(them, POLLIN);
	outcome("they see", recv(them, &byte, 1, 0));
	close(them);
	settle();
	try_again("TIME_WAIT is ours", address, NONE);
	try_again("TIME_WAIT is ours", address, ADDRESS);

	listener = open_socket(0);
	address = our_address(0);
	must("bind", bind_at(listener, &address));
	must("listen", listen(listener, 5));
	address = name_of(listener);
	close(listener);
	try_again("nothing was there", address, NONE);
}

/* ---- bind(2) once more ---- */

static void dissolve(int fd)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	outcome("dissolve", connect(fd, &nobody, sizeof(nobody)));
}

static int refused(void)
{
	const int listener = their_listener(1), fd = open_socket(0);
	const struct address gone = name_of(listener);

	close(listener);
	outcome("refused", connect(fd, (const struct sockaddr *)&gone.storage, gone.length));
	return fd;
}

/* The port is the program's choice, which outlives the connection. */
static int bound_and_connected(int *them)
{
	const int listener = their_listener(1);
	const struct address to = name_of(listener);
	struct address port_0 = our_address(0), address;
	int fd = open_socket(0);

	must("bind", bind_at(fd, &port_0));
	address = name_of(fd);
	close(fd);
	fd = open_socket(0);
	must("bind", bind_at(fd, &address));
	must("connect", connect(fd, (const struct sockaddr *)&to.storage, to.length));
	*them = accept_one(listener);
	close(listener);
	return fd;
}

/* From the port to which it has been bound. */
static void connect_from(int fd, const struct address *bound)
{
	const int listener = their_listener(1);
	const struct address to = name_of(listener);
	struct address name;

	outcome("connect", connect(fd, (const struct sockaddr *)&to.storage, to.length));
	name = name_of(fd);
	note("the port is the one: %s", port_of(&name) == port_of(bound) ? "yes" : "no");
	close(listener);
}

static void bind_again(int fd)
{
	struct address before = name_of(fd), address = our_address(0), after;
	const int result = bind_at(fd, &address);

	outcome("bind", result);
	after = name_of(fd);
	note("%s", address_text(&after.storage, after.length));
	note("another port: %s", port_of(&before) != port_of(&after) ? "yes" : "no");
	outcome("once more", bind_at(fd, &address));
	dissolve(fd);
	if (result == 0)
		connect_from(fd, &after);
}

static void case_bind_again(void)
{
	struct connection connection = open_connection();
	int fd;

	note("of a connection");
	bind_again(connection.us);
	close_connection(connection);

	note("after a reset");
	connection = open_connection();
	reset(connection.them);
	await(connection.us, POLLHUP);
	bind_again(connection.us);
	close(connection.us);

	note("after both ends");
	connection = open_connection();
	shutdown(connection.us, SHUT_WR);
	close(connection.them);
	await(connection.us, POLLHUP);
	settle();
	bind_again(connection.us);
	close(connection.us);

	note("after it was dissolved");
	connection = open_connection();
	dissolve(connection.us);
	bind_again(connection.us);
	close_connection(connection);

	note("refused");
	fd = refused();
	bind_again(fd);
	close(fd);

	note("of its own port");
	fd = bound_and_connected(&connection.them);
	reset(connection.them);
	await(fd, POLLHUP);
	bind_again(fd);
	close(fd);
}

static void case_dual_stack(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0), client, server, on = 1;
	struct sockaddr_in6 address = { .sin6_family = AF_INET6 }, peer;
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	char text[64];

	if (!in_process()) {
		note("on one host only");
		close(fd);
		return;
	}
	outcome("bind", bind(fd, (struct sockaddr *)&address, sizeof(address)));
	outcome("listen", listen(fd, 5));
	must("name", getsockname(fd, (struct sockaddr *)&address, &length));
	to.sin_port = address.sin6_port;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client = socket(AF_INET, SOCK_STREAM, 0);
	outcome("connect by IPv4", connect(client, (struct sockaddr *)&to, sizeof(to)));
	length = sizeof(peer);
	server = accept(fd, (struct sockaddr *)&peer, &length);
	note("peer %u %s", length, inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text)));
	length = sizeof(peer);
	outcome("getsockname", getsockname(server, (struct sockaddr *)&peer, &length));
	note("local %u %s", length, inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text)));
	close(client);
	close(server);
	client = socket(AF_INET6, SOCK_STREAM, 0);
	address.sin6_addr = in6addr_loopback;
	outcome("connect by IPv6", connect(client, (struct sockaddr *)&address, sizeof(address)));
	close(client);
	client = socket(AF_INET6, SOCK_STREAM, 0);
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
	outcome("connect to a mapped address",
		connect(client, (struct sockaddr *)&address, sizeof(address)));
	length = sizeof(peer);
	outcome("getsockname", getsockname(client, (struct sockaddr *)&peer, &length));
	note("local %u %s", length, inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text)));
	length = sizeof(peer);
	outcome("getpeername", getpeername(client, (struct sockaddr *)&peer, &length));
	note("peer %u %s", length, inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text)));
	close(client);
	close(fd);

	fd = socket(AF_INET6, SOCK_STREAM, 0);
	outcome("V6ONLY", setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	memset(&address, 0, sizeof(address));
	address.sin6_family = AF_INET6;
	outcome("bind", bind(fd, (struct sockaddr *)&address, sizeof(address)));
	outcome("listen", listen(fd, 5));
	length = sizeof(address);
	must("name", getsockname(fd, (struct sockaddr *)&address, &length));
	to.sin_port = address.sin6_port;
	client = socket(AF_INET, SOCK_STREAM, 0);
	outcome("connect by IPv4", connect(client, (struct sockaddr *)&to, sizeof(to)));
	close(client);
	client = socket(AF_INET, SOCK_STREAM, 0);
	to.sin_addr.s_addr = htonl(INADDR_ANY);
	outcome("the same port by IPv4", bind(client, (struct sockaddr *)&to, sizeof(to)));
	outcome("listen", listen(client, 1));
	close(client);
	client = socket(AF_INET6, SOCK_STREAM, 0);
	outcome("V6ONLY", setsockopt(client, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
	outcome("connect to a mapped address",
		connect(client, (struct sockaddr *)&address, sizeof(address)));
	close(client);
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "two at a port", case_two_at_a_port, 0 },
		{ "port 0", case_port_0, 0 },
		{ "bad arguments", case_bad_arguments, 0 },
		{ "reuse port shares", case_reuse_port_shares, 0 },
		{ "after close", case_after_close, 0 },
		{ "bind again", case_bind_again, 0 },
		{ "dual stack", case_dual_stack, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
