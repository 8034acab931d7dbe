/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose a flow is: connect(2), bind(2) and listen(2) under rules, over a stack that does what the
 * test says. The kernel's half of each case is loopback, so that nothing leaves the machine.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "under_melin.h"

/* Where nobody listens: the kernel refuses at once. */
#define NOBODY 7

static int new_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
}

/* What becomes of a connect(2) that is under way in the kernel. */
static int outcome(int descriptor)
{
	struct pollfd set = { .fd = descriptor, .events = POLLOUT };
	socklen_t length = sizeof(int);
	int error = 0;

	poll(&set, 1, 60000);
	getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
	return error;
}

/* connect(2) of a new socket; returns its errno value, and whether the stack was asked. */
static int try_connect(const char *address, uint16_t port, bool *asked)
{
	unsigned before = stack->connects;
	int descriptor = new_socket();
	int error = connect4(descriptor, address, port) < 0 ? errno : 0;

	*asked = stack->connects != before;
	if (error == EINPROGRESS && !*asked)
		error = outcome(descriptor);
	close(descriptor);
	return error;
}

static void connects(void)
{
	bool asked;
	int error;

	error = try_connect("127.0.0.1", NOBODY, &asked);
	tap_ok(error == ECONNREFUSED && !asked && stack->opens == 0,
	       "no rule: the kernel's, and the stack is not started");
	error = try_connect("127.0.0.9", 80, &asked);
	tap_ok(error == ECONNREFUSED && !asked && stack->opens == 0,
	       "a rule with ! in front decides before the one that would take it");
	error = try_connect("127.0.0.1", 80, &asked);
	tap_ok(error == EINPROGRESS && asked && stack->opens == 1,
	       "a rule takes it: the stack is started and asked");
	error = try_connect("127.0.0.1", 80, &asked);
	tap_ok(error == EINPROGRESS && asked && stack->opens == 1, "it is started once");
	stack->route_error = -ENETUNREACH;
	error = try_connect("127.0.0.1", 80, &asked);
	tap_ok(error == ECONNREFUSED && !asked, "the stack has no way there: the kernel's");
	stack->route_error = 0;
}

static void kinds(void)
{
	static const struct {
		int domain, type;
		const char *name;
	} others[] = { { AF_INET, SOCK_DGRAM, "UDP" }, { AF_UNIX, SOCK_STREAM, "a Unix socket" } };
	unsigned before = stack->creates;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		int descriptor = socket(others[i].domain, others[i].type, 0);

		connect4(descriptor, "127.0.0.1", 80);
		tap_ok(stack->creates == before && stack->opens == 0, "%s is never taken",
		       others[i].name);
		close(descriptor);
	}
}

/* A duplicate is the same socket: decided together, and closed with the last one. */
static void duplicates(void)
{
	int descriptor = new_socket(), duplicate = dup(descriptor);
	unsigned before = stack->connects, released = stack->releases;
	char byte;

	tap_ok(connect4(duplicate, "127.0.0.1", 80) < 0 && errno == EINPROGRESS &&
		       stack->connects == before + 1,
	       "taken by its duplicate");
	stack->last->bytes = 1;
	report(stack->last, EPOLLIN | EPOLLOUT);
	tap_ok(recv(descriptor, &byte, 1, 0) == 1 && byte == 'x', "the first one receives");
	close(descriptor);
	tap_ok(stack->releases == released, "one of two is closed: the connection stays");
	close(duplicate);
	tap_ok(stack->releases == released + 1, "the last one is closed: it ends");
}

static void listeners(void)
{
	struct sockaddr_in own = address4("198.18.0.10", 8000), any = address4("0.0.0.0", 8001),
			   unselected = address4("127.0.0.1", 0);
	int listener = new_socket(), dual = new_socket(), kernel = new_socket();
	struct pollfd set[2] = { { .fd = dual, .events = POLLIN },
				 { .fd = listener, .events = POLLIN } };

	tap_ok(bind(listener, (struct sockaddr *)&own, sizeof(own)) == 0,
	       "bound to the stack's address, which the kernel does not have");
	tap_ok(listen(listener, 5) == 0 && bind(dual, (struct sockaddr *)&any, sizeof(any)) == 0 &&
		       listen(dual, 5) == 0 && stack->opens == 0,
	       "listen() starts nothing");
	tap_ok(bind(kernel, (struct sockaddr *)&unselected, sizeof(unselected)) == 0 &&
		       listen(kernel, 5) == 0 && accept(kernel, NULL, NULL) < 0 &&
		       errno == EAGAIN && stack->listens == 0,
	       "no rule takes it: the kernel's");
	tap_ok(poll(set, 1, 0) == 0 && stack->opens == 1 && stack->listens == 2,
	       "the first use of one starts the stack, and all of them");
	stack->last->queue = 1;
	report(stack->last, EPOLLIN);
	set[0].revents = 0;
	tap_ok(poll(set, 2, 0) == 1, "one of the two is ready");
	close(listener);
	close(dual);
	close(kernel);
}

static void other_start(void)
{
	bool asked;
	int error;

	stack->open_error = -ENODEV;
	error = try_connect("127.0.0.1", 80, &asked);
	tap_ok(error == ECONNREFUSED && !asked && stack->opens == 1,
	       "the stack cannot start: the kernel's");
	try_connect("127.0.0.1", 80, &asked);
	tap_ok(stack->opens == 1, "and it is not tried again");
}

static void busy_start(void)
{
	bool asked;
	int error;

	stack->open_error = -EBUSY;
	error = try_connect("127.0.0.1", 80, &asked);
	tap_ok(error == ECONNREFUSED && stack->opens == 1, "another has the device: the kernel's");
	stack->open_error = 0;
	usleep(400000);
	error = try_connect("127.0.0.1", 80, &asked);
	tap_ok(error == EINPROGRESS && asked && stack->opens == 2, "it is tried again later");
}

static void required(void)
{
	bool asked;
	int error;

	stack->open_error = -ENODEV;
	error = try_connect("127.0.0.1", 80, &asked);
	tap_ok(error == ENETDOWN && !asked, "a selected flow fails if the stack cannot start");
	error = try_connect("127.0.0.1", NOBODY, &asked);
	tap_ok(error == ECONNREFUSED, "one that is not selected is the kernel's");
}

#define FLOWS	"MELIN_FLOWS=!connect:127.0.0.9:*,connect:127.0.0.0/8:80,listen:*:8000-8001"
#define ADDRESS "MELIN_ADDR=198.18.0.10/24"

static const struct run runs[] = {
	{ "connect", { FLOWS, ADDRESS }, connects },
	{ "kinds of sockets", { FLOWS, ADDRESS }, kinds },
	{ "duplicates", { FLOWS, ADDRESS }, duplicates },
	{ "listen", { FLOWS, ADDRESS }, listeners },
	{ "no start", { FLOWS, ADDRESS, "MELIN_LOG=error" }, other_start },
	{ "busy", { FLOWS, ADDRESS, "MELIN_LOG=error" }, busy_start },
	{ "required", { FLOWS, ADDRESS, "MELIN_REQUIRED=1", "MELIN_LOG=error" }, required },
};

int main(int argc, char **argv)
{
	return run_all(argc, argv, runs, sizeof(runs) / sizeof(runs[0]));
}
