/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes kernel sockets in its own network namespace for a test program in another: listens or
 * connects as ordered and passes the descriptor over a Unix socket. So one program holds both ends
 * of a connection that crosses a wire. Not a peer: it never reads or writes.
 *
 *     socket server PATH
 */
#include "socket_server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static int make(const struct socket_order *message)
{
	const struct sockaddr *address = (const struct sockaddr *)&message->address;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -errno;
	if (message->kind == SOCKET_LISTEN) {
		if (bind(fd, address, message->length) == 0 && listen(fd, message->backlog) == 0)
			return fd;
	} else if (connect(fd, address, message->length) == 0) {
		return fd;
	}
	error = -errno;
	close(fd);
	return error;
}

static int answer(int customer, int error, int fd)
{
	struct socket_answer message = { .error = error };
	struct iovec iov = { .iov_base = &message, .iov_len = sizeof(message) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .space = { 0 } };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *rights = &control.header;

		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	}
	return sendmsg(customer, &header, MSG_NOSIGNAL) == (ssize_t)sizeof(message) ? 0 : -1;
}

static void serve(int customer)
{
	struct socket_order message;

	while (recv(customer, &message, sizeof(message), 0) == (ssize_t)sizeof(message)) {
		int fd = make(&message);

		if (fd < 0) {
			if (answer(customer, -fd, -1) < 0)
				return;
			continue;
		}
		if (answer(customer, 0, fd) < 0)
			return;
		close(fd);
		if (answer(customer, 0, -1) < 0)
			return;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (argc != 2 || strlen(argv[1]) + 1 >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: socket_server PATH\n");
		return 2;
	}
	/* It gets its name when it listens: who sees the name may connect. */
	snprintf(address.sun_path, sizeof(address.sun_path), "%s~", argv[1]);
	unlink(address.sun_path);
	signal(SIGCHLD, SIG_IGN);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 16) < 0 || rename(address.sun_path, argv[1]) < 0) {
		perror(argv[1]);
		return 1;
	}
	for (;;) {
		int customer = accept(listener, NULL, NULL);

		if (customer < 0)
			continue;
		/* A process each: the programs of several runs do not wait for one another. */
		if (fork() == 0) {
			close(listener);
			serve(customer);
			_exit(0);
		}
		close(customer);
	}
}
