/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The differential harness's sockets: both sides of a connection, and waiting for what must come.
 * Not for what is compared: these helpers print nothing unless the case is worthless.
 */
#include "harness.h"
#include "socket_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

#define AWAIT_MS 5000 /* what must come at once; generous for a machine under load */
#define START_MS 30000
#define CHUNK	 65536

int family(void)
{
	const char *text = getenv("STEP_FAMILY");

	return text && strcmp(text, "6") == 0 ? AF_INET6 : AF_INET;
}

bool we_connect(void)
{
	const char *text = getenv("STEP_ROLE");

	return !text || strcmp(text, "server") != 0;
}

bool in_process(void)
{
	return getenv("STEP_FACTORY") == NULL;
}

static struct address make_address(const char *text, uint16_t port)
{
	struct address address = { .length = 0 };

	if (family() == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)&address.storage;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		address.length = sizeof(*in);
		if (inet_pton(AF_INET, text, &in->sin_addr) != 1)
			broken("%s is no IPv4 address", text);
	} else {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&address.storage;

		in->sin6_family = AF_INET6;
		in->sin6_port = htons(port);
		address.length = sizeof(*in);
		if (inet_pton(AF_INET6, text, &in->sin6_addr) != 1)
			broken("%s is no IPv6 address", text);
	}
	return address;
}

static const char *side(const char *variable)
{
	const char *text = getenv(variable);

	if (text)
		return text;
	return family() == AF_INET ? "127.0.0.1" : "::1";
}

struct address our_address(uint16_t port)
{
	return make_address(side("STEP_LOCAL"), port);
}

struct address their_address(uint16_t port)
{
	return make_address(side("STEP_PEER"), port);
}

struct address any_address(uint16_t port)
{
	return make_address(family() == AF_INET ? "0.0.0.0" : "::", port);
}

uint16_t port_of(const struct address *address)
{
	/* The port is at the same place in both families. */
	return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
}

static bool same_host(const struct sockaddr *address, const struct address *host)
{
	if (address->sa_family != host->storage.ss_family)
		return false;
	if (address->sa_family == AF_INET)
		return memcmp(&((const struct sockaddr_in *)address)->sin_addr,
			      &((const struct sockaddr_in *)&host->storage)->sin_addr, 4) == 0;
	return memcmp(&((const struct sockaddr_in6 *)address)->sin6_addr,
		      &((const struct sockaddr_in6 *)&host->storage)->sin6_addr, 16) == 0;
}

const char *address_text(const void *address, socklen_t length)
{
	static _Thread_local char buffers[4][64];
	static _Thread_local unsigned turn;
	struct address ours = our_address(0), theirs = their_address(0), any = any_address(0);
	struct address copy = { .length = length };
	char *text = buffers[turn++ % 4];
	const char *host = "other";

	memcpy(&copy.storage, address,
	       length < sizeof(copy.storage) ? length : sizeof(copy.storage));
	const struct sockaddr *base = (const struct sockaddr *)&copy.storage;

	if (same_host(base, &ours))
		host = "ours";
	else if (same_host(base, &theirs))
		host = "theirs";
	else if (same_host(base, &any))
		host = "any";
	snprintf(text, 64, "length %u family %s %s port %s", length,
		 base->sa_family == AF_INET    ? "4"
		 : base->sa_family == AF_INET6 ? "6"
					       : "?",
		 host, port_of(&copy) ? "set" : "0");
	return text;
}

struct address name_of(int fd)
{
	struct address address = { .length = sizeof(address.storage) };

	must("getsockname", getsockname(fd, (struct sockaddr *)&address.storage, &address.length));
	return address;
}

int open_socket(int flags)
{
	int fd = socket(family(), SOCK_STREAM | flags, 0);

	must("socket", fd);
	return fd;
}

static int listener_at(struct address address, int backlog)
{
	int fd = open_socket(0);

	must("bind", bind(fd, (struct sockaddr *)&address.storage, address.length));
	must("listen", listen(fd, backlog));
	return fd;
}

void first_use(int listener)
{
	struct pollfd entry = { .fd = listener, .events = POLLIN };

	if (!in_process())
		poll(&entry, 1, 0);
}

int our_listener(int backlog)
{
	int fd = listener_at(our_address(0), backlog);

	first_use(fd);
	return fd;
}

static int socket_server(void)
{
	static int fd = -1;
	static pid_t owner;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fd >= 0 && owner == getpid())
		return fd;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", getenv("STEP_FACTORY"));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must("socket of the socket server", fd);
	/* Out of the way, so that the cases see the same lowest free descriptors in every mode. */
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 500);

	must("descriptor of the socket server", high);
	close(fd);
	fd = high;
	owner = getpid();
	must("socket server", connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

/* The descriptor comes first; the second message says that the socket server has closed its own. */
static int order(enum socket_kind kind, const struct address *address, int backlog)
{
	struct socket_order message = { .kind = kind, .backlog = backlog };
	struct socket_answer answer = { .error = 0 };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = &answer, .iov_len = sizeof(answer) };
	struct msghdr header = { .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	int fd = -1;

	message.address = address->storage;
	message.length = address->length;
	if (send(socket_server(), &message, sizeof(message), 0) != (ssize_t)sizeof(message))
		broken("socket server, order: %s", errno_name(errno));
	if (recvmsg(socket_server(), &header, 0) != (ssize_t)sizeof(answer))
		broken("socket server, answer: %s", errno_name(errno));
	if (answer.error == 0) {
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);

		if (!rights)
			broken("the socket server sent no descriptor");
		memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
		if (recv(socket_server(), &answer, sizeof(answer), 0) != (ssize_t)sizeof(answer))
			broken("socket server: %s", errno_name(errno));
	}
	errno = answer.error;
	return fd;
}

int their_listener(int backlog)
{
	struct address address = their_address(0);

	if (in_process())
		return listener_at(address, backlog);
	int fd = order(SOCKET_LISTEN, &address, backlog);

	must("their listener", fd);
	return fd;
}

int connect_to(const struct address *address)
{
	int fd = open_socket(0);

	must("connect", connect(fd, (const struct sockaddr *)&address->storage, address->length));
	return fd;
}

int them_connect(const struct address *address)
{
	if (in_process())
		return connect_to(address);
	int fd = order(SOCKET_CONNECT, address, 0);

	must("their connect", fd);
	return fd;
}

int accept_one(int listener)
{
	int fd = accept(listener, NULL, NULL);

	must("accept", fd);
	return fd;
}

struct connection open_connection(void)
{
	struct connection connection;
	int listener = we_connect() ? their_listener(5) : our_listener(5);
	struct address address = name_of(listener);

	if (we_connect()) {
		connection.us = connect_to(&address);
		connection.them = accept_one(listener);
	} else {
		connection.them = them_connect(&address);
		connection.us = accept_one(listener);
	}
	close(listener);
	return connection;
}

void talk_a_while(struct connection connection)
{
	char byte;

	for (int i = 0; i < 10; i++) {
		send_all(connection.them, "x", 1);
		must("recv", recv(connection.us, &byte, 1, 0));
		send_all(connection.us, "x", 1);
		must("recv", recv(connection.them, &byte, 1, 0));
	}
}

struct connection open_talking(void)
{
	struct connection connection = open_connection();

	talk_a_while(connection);
	return connection;
}

void close_connection(struct connection connection)
{
	close(connection.us);
	close(connection.them);
}

/* Whether melin has said in its log that the stack of this process runs. */
static bool stack_runs(const char *log)
{
	char line[1024], end[32];
	FILE *file = fopen(log, "re");
	bool runs = false;

	if (!file)
		return false;
	snprintf(end, sizeof(end), " %d]\n", (int)getpid());
	while (!runs && fgets(line, sizeof(line), file))
		runs = strstr(line, "can be borrowed from now on") && strstr(line, end);
	fclose(file);
	return runs;
}

void await_stack(void)
{
	const char *log = getenv("STEP_BORROWS");
	int64_t end = now_ms() + START_MS;
	struct connection connection;
	char byte;

	if (!log)
		return;
	connection = open_connection();
	send_all(connection.us, "x", 1);
	send_all(connection.them, "x", 1);
	must("the first recv", recv(connection.us, &byte, 1, 0));
	while (!stack_runs(log)) {
		if (now_ms() > end)
			broken("the stack does not start");
		pause_ms(5);
	}
	close_connection(connection);
}

void await(int fd, short events)
{
	int64_t end = now_ms() + AWAIT_MS;
	struct pollfd entry = { .fd = fd, .events = events };

	while (now_ms() < end) {
		entry.revents = 0;
		if (poll(&entry, 1, 100) > 0 && (entry.revents & events) == events)
			return;
		if (entry.revents)
			pause_ms(1);
	}
	note("never %s, only %s", poll_bits((uint32_t)(uint16_t)events),
	     poll_bits((uint32_t)(uint16_t)entry.revents));
}

void await_bytes(int fd, int bytes)
{
	int64_t end = now_ms() + AWAIT_MS;
	int there = -1;

	while (now_ms() < end) {
		must("FIONREAD", ioctl(fd, FIONREAD, &there));
		if (there >= bytes)
			return;
		pause_ms(1);
	}
	note("never %d bytes, only %d", bytes, there);
}

void set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	must("F_GETFL", flags);
	must("F_SETFL", fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

void reset(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	must("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(fd);
}

size_t fill(int fd)
{
	static const char chunk[CHUNK];
	size_t total = 0;
	unsigned refusals = 0;

	set_nonblocking(fd, true);
	/* The window may still open: only no room for a good while counts as full. */
	while (refusals < 10) {
		ssize_t n = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL);

		if (n > 0) {
			total += (size_t)n;
			refusals = 0;
		} else if (n < 0 && errno == EAGAIN) {
			refusals++;
			settle();
		} else {
			broken("fill: %s", errno_name(errno));
		}
	}
	return total;
}

size_t drain(int fd, size_t bytes)
{
	char *chunk = malloc(CHUNK); /* a thread variable would make small threads impossible */
	size_t total = 0;

	if (!chunk)
		broken("drain: no memory");

	while (total < bytes) {
		size_t rest = bytes - total;
		struct pollfd entry = { .fd = fd, .events = POLLIN };

		if (poll(&entry, 1, AWAIT_MS) <= 0)
			break;
		ssize_t n = recv(fd, chunk, rest < CHUNK ? rest : CHUNK, 0);

		if (n <= 0)
			break;
		total += (size_t)n;
	}
	free(chunk);
	return total;
}

void send_all(int fd, const void *data, size_t length)
{
	const char *rest = data;

	while (length > 0) {
		ssize_t n = send(fd, rest, length, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			pause_ms(1);
			continue;
		}
		must("send_all", n);
		rest += n;
		length -= (size_t)n;
	}
}
