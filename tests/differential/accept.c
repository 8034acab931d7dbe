/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: listen(2) and accept(2). We are always the server. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int they_connect(int listener)
{
	struct address address = name_of(listener), ours = our_address(port_of(&address));

	return them_connect(&ours);
}

static void outcome_descriptor(const char *name, int fd)
{
	if (fd < 0) {
		outcome(name, fd);
		return;
	}
	note("%s: a descriptor, flags %s%s", name,
	     fcntl(fd, F_GETFL) & O_NONBLOCK ? "non-blocking " : "",
	     fcntl(fd, F_GETFD) & FD_CLOEXEC ? "close-on-exec" : "");
}

static void outcome_poll(const char *name, int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	poll(&entry, 1, 0);
	note("%s: %s", name, poll_bits((uint32_t)entry.revents));
}

static void case_addresses(void)
{
	int listener = our_listener(5), them, fd;
	struct address address = { .length = sizeof(address.storage) };
	struct sockaddr *base = (struct sockaddr *)&address.storage;

	them = they_connect(listener);
	outcome_descriptor("accept, NULL", fd = accept(listener, NULL, NULL));
	close(fd);
	close(them);
	them = they_connect(listener);
	outcome_descriptor("accept, address", fd = accept(listener, base, &address.length));
	note("peer %s", address_text(base, address.length));

	struct address theirs = name_of(them);

	note("their port: %s", port_of(&theirs) == port_of(&address) ? "yes" : "no");
	address.length = sizeof(address.storage);
	outcome("getsockname", getsockname(fd, base, &address.length));
	note("local %s", address_text(base, address.length));
	address.length = sizeof(address.storage);
	outcome("getpeername", getpeername(fd, base, &address.length));
	note("peer %s", address_text(base, address.length));
	close(fd);
	close(them);
	them = they_connect(listener);
	memset(&address.storage, 0x5a, sizeof(address.storage));
	address.length = 3;
	outcome_descriptor("accept, short address", fd = accept(listener, base, &address.length));
	note("length %u", address.length);
	show("address", ((char *)base) + 3, 4);
	close(fd);
	close(them);
	them = they_connect(listener);
	address.length = (socklen_t)-1;
	outcome("accept, negative length", accept(listener, base, &address.length));
	address.length = sizeof(address.storage);
	them_connect(&(struct address){ .storage = name_of(listener).storage,
					.length = name_of(listener).length });
	await(listener, POLLIN);
	outcome_descriptor("the next is there", accept4(listener, NULL, NULL, 0));
	close(them);
	close(listener);
}

static void case_flags(void)
{
	int listener = our_listener(8), them[4], fd;

	for (int i = 0; i < 4; i++)
		them[i] = they_connect(listener);
	set_nonblocking(listener, true);
	await(listener, POLLIN);
	outcome_descriptor("accept", fd = accept(listener, NULL, NULL));
	close(fd);
	await(listener, POLLIN);
	outcome_descriptor("NONBLOCK", fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK));
	close(fd);
	await(listener, POLLIN);
	outcome_descriptor("CLOEXEC", fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(fd);
	outcome("bad flags", accept4(listener, NULL, NULL, SOCK_DGRAM | 0x1000));
	await(listener, POLLIN);
	outcome_descriptor("both",
			   fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
	close(fd);
	outcome("nobody left", accept(listener, NULL, NULL));
	outcome("nobody left, accept4", accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	for (int i = 0; i < 4; i++)
		close(them[i]);
	close(listener);
}

static void case_inherited(void)
{
	static const struct {
		int level, name;
		const char *text;
		int value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE", 1 },
		{ SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", 1 },
		{ SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF", 50000 },
		{ SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF", 50000 },
		{ SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT", 7 },
		{ SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE", 1 },
		{ SOL_SOCKET, SO_PRIORITY, "SO_PRIORITY", 3 },
		{ IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE", 77 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL", 7 },
		{ IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT", 4 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT", 9999 },
		{ IPPROTO_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT", 0 },
		{ IPPROTO_TCP, TCP_LINGER2, "TCP_LINGER2", 9 },
	};
	enum { COUNT = sizeof(options) / sizeof(options[0]) };
	int listener = our_listener(5), them, fd;
	struct linger linger = { .l_onoff = 1, .l_linger = 9 };
	struct timeval limit = { .tv_sec = 9 };
	socklen_t length;

	for (int i = 0; i < COUNT; i++)
		outcome(options[i].text, setsockopt(listener, options[i].level, options[i].name,
						    &options[i].value, sizeof(int)));
	outcome("SO_LINGER", setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	outcome("SO_RCVTIMEO",
		setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	outcome("SO_SNDTIMEO",
		setsockopt(listener, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
	them = they_connect(listener);
	fd = accept_one(listener);
	for (int i = 0; i < COUNT; i++) {
		int value = -1;

		length = sizeof(value);
		must("getsockopt",
		     getsockopt(fd, options[i].level, options[i].name, &value, &length));
		note("%s is %d", options[i].text, value);
	}
	length = sizeof(linger);
	getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length);
	note("SO_LINGER is %d %d", linger.l_onoff, linger.l_linger);
	length = sizeof(limit);
	getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &length);
	note("SO_RCVTIMEO is %ld", (long)limit.tv_sec);
	getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &length);
	note("SO_SNDTIMEO is %ld", (long)limit.tv_sec);
	close(them);
	close(fd);
	close(listener);
}

static void case_refusals(void)
{
	struct connection connection = open_connection();
	int fd = open_socket(0), pipes[2];

	outcome("accept, fresh", accept(fd, NULL, NULL));
	outcome("accept, connected", accept(connection.us, NULL, NULL));
	outcome("accept, closed", accept(-1, NULL, NULL));
	outcome("listen, connected", listen(connection.us, 1));
	outcome("listen, closed", listen(-1, 1));
	must("pipe", pipe(pipes));
	outcome("accept, a pipe", accept(pipes[0], NULL, NULL));
	outcome("listen, a pipe", listen(pipes[0], 1));
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	close_connection(connection);
}

static void case_unbound(void)
{
	int fd = open_socket(0);
	struct address address;

	outcome("listen without bind", listen(fd, 1));
	address = name_of(fd);
	note("%s", address_text(&address.storage, address.length));
	outcome("listen again", listen(fd, 10));
	outcome("listen with a negative backlog", listen(fd, -1));
	outcome_poll("poll", fd);
	int them = they_connect(fd);

	await(fd, POLLIN);
	outcome_descriptor("accept", fd);
	close(them);
	close(fd);
}

static void case_no_descriptors(void)
{
	int listener = our_listener(5), them = they_connect(listener), fd;
	struct rlimit limit, tight;
	int lowest = dup(0);

	close(lowest);
	await(listener, POLLIN);
	must("getrlimit", getrlimit(RLIMIT_NOFILE, &limit));
	tight = limit;
	tight.rlim_cur = (rlim_t)lowest;
	must("setrlimit", setrlimit(RLIMIT_NOFILE, &tight));
	outcome("accept", accept(listener, NULL, NULL));
	outcome("socket", socket(family(), SOCK_STREAM, 0));
	outcome_poll("the connection", listener);
	must("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
	set_nonblocking(listener, true);
	outcome_descriptor("accept with room", fd = accept(listener, NULL, NULL));
	note("the lowest: %s", fd == lowest ? "yes" : "no");
	close(them);
	close(fd);
	close(listener);
}

static void case_backlog(void)
{
	int listener = our_listener(5), them[6];
	char byte;

	outcome_poll("nobody", listener);
	for (char i = 0; i < 6; i++) {
		them[(int)i] = they_connect(listener);
		byte = (char)('a' + i);
		send_all(them[(int)i], &byte, 1);
	}
	for (int i = 0; i < 6; i++) {
		await(listener, POLLIN);

		int fd = accept_one(listener);

		outcome_at("recv", i, recv(fd, &byte, 1, 0));
		show("from", &byte, 1);
		close(fd);
		close(them[i]);
	}
	outcome_poll("nobody left", listener);
	close(listener);
}

static void case_gone_before_accept(void)
{
	int listener = our_listener(5), them = they_connect(listener), fd;
	char buffer[8] = { 0 };

	send_all(them, "abc", 3);
	close(them);
	settle();
	outcome_descriptor("accept, closed", fd = accept(listener, NULL, NULL));
	outcome("recv", recv(fd, buffer, 8, 0));
	show("data", buffer, 3);
	outcome("recv", recv(fd, buffer, 8, 0));
	close(fd);
	them = they_connect(listener);
	await(listener, POLLIN);
	reset(them);
	settle();
	outcome_poll("reset", listener);
	outcome_descriptor("accept, reset", fd = accept(listener, NULL, NULL));
	outcome("recv", recv(fd, buffer, 8, 0));
	outcome("recv", recv(fd, buffer, 8, 0));
	close(fd);
	close(listener);
}

static void case_closed_with_guests(void)
{
	int listener = our_listener(5), them = they_connect(listener);
	char byte;

	await(listener, POLLIN);
	close(listener);
	await(them, POLLIN);
	outcome("they see", recv(them, &byte, 1, 0));
	close(them);
}

static void case_shut_down(void)
{
	int listener = our_listener(5), them;

	outcome("shutdown for writing", shutdown(listener, SHUT_WR));
	outcome_poll("after it", listener);
	them = they_connect(listener);
	await(listener, POLLIN);
	outcome("shutdown for reading", shutdown(listener, SHUT_RD));
	outcome_poll("after it", listener);
	await(them, POLLIN);
	outcome("they see", recv(them, &them, 1, 0));
	outcome("accept", accept(listener, NULL, NULL));
	outcome("shutdown again", shutdown(listener, SHUT_RD));
	outcome("listen again", listen(listener, 5));
	outcome_poll("after it", listener);
	them = they_connect(listener);
	outcome_descriptor("accept", accept(listener, NULL, NULL));
	close(listener);
}

static void case_wildcard(void)
{
	int listener = open_socket(0), them, fd;
	struct address any = any_address(0), address;

	outcome("bind", bind(listener, (struct sockaddr *)&any.storage, any.length));
	outcome("listen", listen(listener, 5));
	address = name_of(listener);
	first_use(listener);
	note("listener %s", address_text(&address.storage, address.length));
	them = they_connect(listener);
	outcome_descriptor("accept", fd = accept(listener, NULL, NULL));
	address = name_of(fd);
	note("accepted %s", address_text(&address.storage, address.length));
	address.length = sizeof(address.storage);
	outcome("getpeername",
		getpeername(listener, (struct sockaddr *)&address.storage, &address.length));
	close(fd);
	close(them);
	close(listener);
}

static int accepted[2];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int accepted_count;

static void accept_in_thread(int listener)
{
	int fd = accept(listener, NULL, NULL);

	pthread_mutex_lock(&lock);
	accepted[accepted_count++] = fd;
	pthread_mutex_unlock(&lock);
}

static void case_two_threads(void)
{
	int listener = our_listener(5);
	pthread_t first = later(0, accept_in_thread, listener);
	pthread_t second = later(0, accept_in_thread, listener);

	settle();

	int them[2] = { they_connect(listener), they_connect(listener) };

	join(first);
	join(second);
	note("accepted %d, good %d", accepted_count, (accepted[0] >= 0) + (accepted[1] >= 0));
	for (int i = 0; i < 2; i++) {
		close(accepted[i]);
		close(them[i]);
	}
	close(listener);
}

/* our_listener() has polled once; this has not. */
static void case_before_the_first_use(void)
{
	int listener = open_socket(0);
	struct address address = our_address(0);

	outcome("bind", bind(listener, (struct sockaddr *)&address.storage, address.length));
	outcome("listen", listen(listener, 5));

	int them = they_connect(listener), fd = accept(listener, NULL, NULL);

	outcome_descriptor("accept", fd);
	close(fd);
	close(them);
	close(listener);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "addresses", case_addresses, 0 },
		{ "flags", case_flags, 0 },
		{ "inherited", case_inherited, 0 },
		{ "refusals", case_refusals, 0 },
		{ "unbound", case_unbound, 0 },
		{ "no descriptors", case_no_descriptors, 0 },
		{ "backlog", case_backlog, 0 },
		{ "gone before accept", case_gone_before_accept, 0 },
		{ "closed with guests", case_closed_with_guests, 0 },
		{ "shut down", case_shut_down, 0 },
		{ "wildcard", case_wildcard, 0 },
		{ "two threads", case_two_threads, 0 },
		{ "before the first use", case_before_the_first_use, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
