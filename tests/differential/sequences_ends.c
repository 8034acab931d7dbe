/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of the sequences that end a connection, in one direction or in both, or look at its end. */
#include "sequences.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_all(struct side *side)
{
	int fd;

	while ((fd = side_descriptor(side)) >= 0) {
		outcome("close", close(fd));
		descriptor_gone(fd);
	}
}

static void step_shutdown(struct side *side, int fd)
{
	static const int ways[] = { SHUT_RD, SHUT_WR, SHUT_WR, SHUT_RDWR, 3, -1 };
	int how = ONE_OF(ways), result = shutdown(fd, how);

	note("direction %d", how);
	outcome("shutdown", result);
	side->loose = peer_of(side)->loose = true;
	side->uncounted |= how != SHUT_WR;
	if (result == 0 && how != SHUT_RD)
		side_ended(side);
}

static void step_shutdown_twice(struct side *side, int fd)
{
	step_shutdown(side, fd);
	step_shutdown(side, fd);
}

/* With data that is not read the end is a reset. */
static void step_close(struct side *side, int fd)
{
	(void)fd;
	close_all(side);
}

static void linger(int fd, int on, int seconds)
{
	struct linger value = { .l_onoff = on, .l_linger = seconds };

	outcome("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof(value)));
}

static void step_reset(struct side *side, int fd)
{
	linger(fd, 1, 0);
	close_all(side);
	side_broken(side);
}

static void step_linger(struct side *side, int fd)
{
	linger(fd, 1, 1);
	close_all(side);
}

static void step_disconnect(struct side *side, int fd)
{
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	outcome("connect", connect(fd, &nowhere, sizeof(nowhere)));
	side_broken(side);
	rest();
	look_at_all();
	outcome("recv", recv(fd, received_data, 10, MSG_DONTWAIT));
	outcome("send", send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL));
	close_all(side);
}

static void step_error(struct side *side, int fd)
{
	int error = -1;
	socklen_t length = sizeof(error);

	(void)side;
	outcome("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
	note("%s", error > 0 ? errno_name(error) : "none");
}

static void step_state(struct side *side, int fd)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);
	struct address address = { .length = sizeof(address.storage) };

	(void)side;
	/* The peer may acknowledge a FIN late. */
	for (int naps = 0; naps < 100; naps++) {
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
		    info.tcpi_state != TCP_FIN_WAIT1)
			break;
		pause_ms(2);
	}
	outcome("TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	note("state %d", info.tcpi_state);
	outcome("getpeername",
		getpeername(fd, (struct sockaddr *)&address.storage, &address.length));
	address.length = sizeof(address.storage);
	outcome("getsockname",
		getsockname(fd, (struct sockaddr *)&address.storage, &address.length));
	note("%s", address_text(&address.storage, address.length));
}

static void step_read_twice(struct side *side, int fd)
{
	for (int i = 0; i < 2; i++) {
		ssize_t n = recv(fd, received_data, DATA_BYTES, MSG_DONTWAIT);

		outcome("received", n);
		if (n > 0)
			show("data", received_data, n);
		side->received += n > 0 ? (size_t)n : 0;
	}
}

/* What goes to a peer that is gone: SIGPIPE is counted. */
static void step_write_twice(struct side *side, int fd)
{
	for (int i = 0; i < 2; i++) {
		ssize_t n;

		if (sendable(side, 10) < 10)
			return;
		n = write(fd, next_data(side, 10), 10);
		outcome("sent", n);
		side_has_sent(side, n > 0 ? (size_t)n : 0);
		rest();
	}
}

static void step_connect_again(struct side *side, int fd)
{
	struct address address = their_address(9);

	(void)side;
	outcome("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
}

static void step_refused(struct side *side, int fd)
{
	int listener = their_listener(1), other = open_socket(SOCK_NONBLOCK), error = 0;
	struct address address = name_of(listener);
	socklen_t length = sizeof(error);

	(void)side;
	(void)fd;
	close(listener);
	outcome("connect", connect(other, (struct sockaddr *)&address.storage, address.length));
	await(other, POLLHUP);
	outcome("SO_ERROR", getsockopt(other, SOL_SOCKET, SO_ERROR, &error, &length));
	note("%s", errno_name(error));
	outcome("send", send(other, "x", 1, MSG_NOSIGNAL));
	outcome("recv", recv(other, received_data, 1, 0));
	close(other);
}

static void step_accept(struct side *side, int fd)
{
	int flags = (int)chance(2) * SOCK_NONBLOCK | (int)chance(2) * SOCK_CLOEXEC;
	int listener = our_listener(1), one, other;
	struct address address = name_of(listener);

	(void)side;
	(void)fd;
	one = them_connect(&address);
	await(listener, POLLIN);
	other = accept4(listener, NULL, NULL, flags);
	outcome("accept4", other);
	note("%d, %d", fcntl(other, F_GETFL), fcntl(other, F_GETFD));
	close(listener);
	outcome("sent", send(one, "hello", 5, 0));
	close(one);
	await(other, POLLRDHUP);
	outcome("received", recv(other, received_data, 10, 0));
	outcome("received", recv(other, received_data, 10, 0));
	close(other);
}

const struct step end_steps[] = {
	{ "shutdown", step_shutdown, 10 },
	{ "shutdown twice", step_shutdown_twice, 2 },
	{ "close", step_close, 5 },
	{ "reset", step_reset, 4 },
	{ "linger", step_linger, 2 },
	{ "disconnect", step_disconnect, 2 },
	{ "error", step_error, 4 },
	{ "state", step_state, 8 },
	{ "read twice", step_read_twice, 8 },
	{ "write twice", step_write_twice, 8 },
	{ "connect again", step_connect_again, 2 },
	{ "refused", step_refused, 1 },
	{ "accept", step_accept, 1 },
	{ 0 },
};
