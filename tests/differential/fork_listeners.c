/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cases of the program "fork": sockets that are not connected yet when a fork or SCM_RIGHTS brings
 * them to another process, listeners above all. Not for connections (fork.c).
 */
#include "fork.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void serve_one(int listener)
{
	struct address address = name_of(listener);

	first_use(listener);

	int them = them_connect(&address), fd = accept(listener, NULL, NULL);

	note("accept: %s", fd >= 0 ? "a descriptor" : errno_name(errno));
	ping("we to them", fd, them);
	ping("they to us", them, fd);
	close(fd);
	close(them);
}

int listener_unused(void)
{
	int fd = open_socket(0);
	struct address address = our_address(0);

	must("bind", bind(fd, (struct sockaddr *)&address.storage, address.length));
	must("listen", listen(fd, 5));
	return fd;
}

/* Must be the first case: the process has used no flow yet (nginx's master and worker). */
void case_listener_for_the_child(void)
{
	int listener = listener_unused();

	for (int round = 0; round < 2; round++) {
		pid_t child = fork();

		must("fork", child);
		if (child == 0) {
			serve_one(listener);
			close(listener);
			_exit(0);
		}
		reap(child);
	}
	close(listener);
}

static int ask_for_ping(const struct address *address)
{
	int fd = open_socket(0);
	char byte = '-';

	if (connect(fd, (const struct sockaddr *)&address->storage, address->length) < 0)
		return 1;
	if (recv(fd, &byte, 1, 0) != 1 || byte != 'x')
		return 2;
	close(fd);
	return 0;
}

static int give_ping(int listener)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return errno;
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
		return 2;
	close(fd);
	return 0;
}

static void poll_once(int listener)
{
	struct pollfd entry = { .fd = listener, .events = POLLIN };

	poll(&entry, 1, 0);
}

static int poll_and_give_ping(int listener)
{
	struct pollfd entry = { .fd = listener, .events = POLLIN };

	poll(&entry, 1, -1);
	return give_ping(listener);
}

/*
 * One process listens, the other connects, and only one of them accepts: whichever it is. In
 * another network than our own process's a stack's address is out of the kernel's reach.
 */
static void between_parent_and_child(bool child_serves, int (*serve)(int listener))
{
	int listener = listener_unused();
	struct address address = name_of(listener);
	pid_t child = fork();

	must("fork", child);
	if (child == 0)
		_exit(child_serves ? serve(listener) : ask_for_ping(&address));
	outcome("parent", child_serves ? ask_for_ping(&address) : serve(listener));
	reap(child);
	close(listener);
}

static void with_unused_stack(void (*action)(void))
{
	pid_t child = fork();

	must("fork", child);
	if (child == 0) {
		action();
		_exit(0);
	}
	reap(child);
}

static void child_connects(void)
{
	between_parent_and_child(false, give_ping);
	between_parent_and_child(false, poll_and_give_ping);
}

static void child_serves(void)
{
	between_parent_and_child(true, give_ping);
	between_parent_and_child(true, poll_and_give_ping);
}

/* The parent has the listener's stack already when it forks, or when its child connects. */
static void child_serves_later(void)
{
	int listener = listener_unused();
	struct address address = name_of(listener);
	pid_t child;

	poll_once(listener);
	child = fork();
	must("fork", child);
	if (child == 0)
		_exit(give_ping(listener));
	outcome("parent", ask_for_ping(&address));
	reap(child);
	child = fork();
	must("fork", child);
	if (child == 0)
		_exit(ask_for_ping(&address));
	outcome("parent", poll_and_give_ping(listener));
	reap(child);
	close(listener);
}

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static void pass(int channel, int fd)
{
	union control control = { 0 };
	char byte = 'd';
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	must("sendmsg", sendmsg(channel, &message, 0));
}

static int take_passed(int channel)
{
	union control control = { 0 };
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd = -1;

	must("recvmsg", recvmsg(channel, &message, 0));
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/*
 * The listener is used in both processes, and connected to from one. Who accepts stops the other.
 */
static void passed_listener(void)
{
	int channel[2], listener, fd;
	struct address address;
	pid_t child;

	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	child = fork();
	must("fork", child);
	if (child == 0) {
		fd = take_passed(channel[1]);
		poll_once(fd);
		_exit(give_ping(fd));
	}
	listener = listener_unused();
	poll_once(listener);
	address = name_of(listener);
	pass(channel[0], listener);
	outcome("connect", ask_for_ping(&address));
	reap(child);
	close(listener);
	close(channel[0]);
	close(channel[1]);
}

#define ACCEPTORS	   4
#define PASSED_CONNECTIONS 80

static _Atomic int accepted_passed;

/* Ends with the connection that is one too many for the others. */
static void accept_until_told(int listener)
{
	for (;;) {
		char byte = '-';
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 || recv(fd, &byte, 1, 0) != 1 || byte != 'x') {
			close(fd);
			return;
		}
		accepted_passed++;
		must("send", send(fd, "y", 1, MSG_NOSIGNAL));
		close(fd);
	}
}

/* Several threads accept from a blocking listener that has also been passed. */
static void passed_listener_and_threads(void)
{
	int channel[2], listener = listener_unused(), answers = 0;
	struct address address = name_of(listener);
	pthread_t threads[ACCEPTORS];
	char byte;

	must("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	poll_once(listener);
	pass(channel[0], listener);
	for (int i = 0; i < ACCEPTORS; i++)
		threads[i] = later(0, accept_until_told, listener);
	for (int i = 0; i < PASSED_CONNECTIONS + ACCEPTORS; i++) {
		int fd = open_socket(0);

		must("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
		if (i < PASSED_CONNECTIONS) {
			must("send", send(fd, "x", 1, MSG_NOSIGNAL));
			answers += recv(fd, &byte, 1, 0) == 1 && byte == 'y';
		}
		close(fd);
	}
	for (int i = 0; i < ACCEPTORS; i++)
		join(threads[i]);
	note("accepted %d, answers %d", accepted_passed, answers);
	close(listener);
	close(channel[0]);
	close(channel[1]);
}

/* Before the process has used a flow, as the one above. */
void case_listener_for_both(void)
{
	if (!in_process())
		return;
	with_unused_stack(child_connects);
	with_unused_stack(child_serves);
	with_unused_stack(child_serves_later);
	with_unused_stack(passed_listener);
	with_unused_stack(passed_listener_and_threads);
}

/* And now the parent: from here on the stack is its own, and no child can have it. */
void case_listener_for_the_parent(void)
{
	int listener = listener_unused();
	pid_t child = fork();

	must("fork", child);
	if (child == 0)
		_exit(0);
	reap(child);
	serve_one(listener);
	close(listener);
}

void case_bound_by_the_parent(void)
{
	int fd = open_socket(0);
	struct address address = our_address(0);

	outcome("bind", bind(fd, (struct sockaddr *)&address.storage, address.length));

	pid_t child = fork();

	must("fork", child);
	if (child == 0) {
		close_connection(open_connection());
		outcome("listen in the child", listen(fd, 5));
		serve_one(fd);
		_exit(0);
	}
	close(fd);
	reap(child);
}

void case_socket_by_the_parent(void)
{
	int fd = open_socket(0);
	pid_t child = fork();

	must("fork", child);
	if (child == 0) {
		int listener = their_listener(5), peer;
		struct address address = name_of(listener);

		outcome("connect in the child",
			connect(fd, (struct sockaddr *)&address.storage, address.length));
		peer = accept_one(listener);
		ping("we to them", fd, peer);
		close(peer);
		close(listener);
		close(fd);
		_exit(7);
	}
	close(fd);
	reap(child);
}
