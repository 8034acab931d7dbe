/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: ioctl(2) and fcntl(2) on sockets, and every way to O_NONBLOCK. */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void ask(const char *name, int fd, unsigned long request)
{
	int value = -77;
	int result = ioctl(fd, request, &value);

	if (result < 0)
		note("%s: %s", name, errno_name(errno));
	else
		note("%s: %d, value %d", name, result, value);
}

static void case_readable(void)
{
	struct pair pair = open_pair();
	int listener = our_listener(1), fd = open_socket(0);
	char buffer[8];

	ask("nothing there", pair.us, FIONREAD);
	send_all(pair.them, "hello", 5);
	await_bytes(pair.us, 5);
	ask("five", pair.us, FIONREAD);
	step("peek", recv(pair.us, buffer, 3, MSG_PEEK));
	ask("still five", pair.us, FIONREAD);
	step("take", recv(pair.us, buffer, 3, 0));
	ask("two", pair.us, FIONREAD);
	ask("SIOCINQ", pair.us, SIOCINQ);
	shutdown(pair.them, SHUT_WR);
	await(pair.us, POLLRDHUP);
	ask("the end does not count", pair.us, FIONREAD);
	step("take", recv(pair.us, buffer, 3, 0));
	ask("at the end", pair.us, FIONREAD);
	ask("listener", listener, FIONREAD);
	ask("fresh", fd, FIONREAD);
	step("bad pointer", ioctl(pair.us, FIONREAD, bad_pointer()));
	ask("closed", 900, FIONREAD);
	close(listener);
	close(fd);
	close_pair(pair);
}

static void case_unsent(void)
{
	struct pair pair = open_pair();
	int value = -1, listener = our_listener(1);
	size_t bytes;

	ask("nothing sent", pair.us, SIOCOUTQ);
	send_all(pair.us, "hello", 5);
	note("drained %zu", drain(pair.them, 5));
	for (int i = 0; i < 100 && value != 0; i++) {
		must("SIOCOUTQ", ioctl(pair.us, SIOCOUTQ, &value));
		pause_ms(10);
	}
	ask("all taken", pair.us, SIOCOUTQ);
	bytes = fill(pair.us);
	must("SIOCOUTQ", ioctl(pair.us, SIOCOUTQ, &value));
	note("full: %s", value > 0 && (size_t)value <= bytes ? "a part of it" : "odd");
	must("TIOCOUTQ", ioctl(pair.us, TIOCOUTQ, &value));
	note("full: %s", value > 0 && (size_t)value <= bytes ? "a part of it" : "odd");
	ask("SIOCOUTQNSD", pair.them, SIOCOUTQNSD);
	ask("listener", listener, SIOCOUTQ);
	step("bad pointer", ioctl(pair.us, SIOCOUTQ, bad_pointer()));
	close(listener);
	close_pair(pair);
}

static void case_mark(void)
{
	struct pair pair = open_pair();

	ask("no urgent data", pair.us, SIOCATMARK);
	step("sockatmark", sockatmark(pair.us));
	send_all(pair.them, "hello", 5);
	await_bytes(pair.us, 5);
	ask("with data", pair.us, SIOCATMARK);
	step("isfdtype, socket", isfdtype(pair.us, 0140000));
	step("isfdtype, file", isfdtype(pair.us, 0100000));
	close_pair(pair);
}

static void step_mode(const char *name, int fd)
{
	char byte;

	note("%s: flags %o", name, (unsigned)fcntl(fd, F_GETFL));
	if (fcntl(fd, F_GETFL) & O_NONBLOCK)
		step("recv", recv(fd, &byte, 1, 0));
}

static void case_non_blocking(void)
{
	struct pair pair = open_pair();
	int on = 1, off = 0, fd;

	step_mode("default", pair.us);
	step("FIONBIO", ioctl(pair.us, FIONBIO, &on));
	step_mode("FIONBIO on", pair.us);
	step("FIONBIO", ioctl(pair.us, FIONBIO, &off));
	step_mode("FIONBIO off", pair.us);
	step("F_SETFL", fcntl(pair.us, F_SETFL, O_NONBLOCK));
	step_mode("F_SETFL on", pair.us);
	step("FIONBIO", ioctl(pair.us, FIONBIO, &off));
	step_mode("FIONBIO off", pair.us);
	step("FIONBIO", ioctl(pair.us, FIONBIO, &on));
	step("F_SETFL", fcntl(pair.us, F_SETFL, 0));
	step_mode("F_SETFL off", pair.us);
	step("F_SETFL", fcntl(pair.us, F_SETFL, O_NDELAY));
	step_mode("O_NDELAY", pair.us);
	step("bad pointer", ioctl(pair.us, FIONBIO, bad_pointer()));
	close_pair(pair);
	fd = open_socket(SOCK_NONBLOCK);
	step_mode("SOCK_NONBLOCK", fd);
	close(fd);
	fd = open_socket(SOCK_CLOEXEC);
	step("SOCK_CLOEXEC", fcntl(fd, F_GETFD));
	close(fd);
	step("bad type", socket(family(), SOCK_STREAM | 0x100000, 0));
	step("bad protocol", socket(family(), SOCK_STREAM, 17));
	step("bad family", socket(99, SOCK_STREAM, 0));
	fd = socket(family(), SOCK_STREAM, 6);
	step_mode("protocol given", fd);
	close(fd);
}

static void case_before_the_flow(void)
{
	int listener = their_listener(5), fd = open_socket(0), peer;
	struct address address = name_of(listener);
	char byte;

	set_nonblocking(fd, true);
	connect(fd, (struct sockaddr *)&address.storage, address.length);
	await(fd, POLLOUT);
	peer = accept_one(listener);
	step("recv, non-blocking", recv(fd, &byte, 1, 0));
	set_nonblocking(fd, false);
	send_all(peer, "x", 1);
	step("recv, blocking", recv(fd, &byte, 1, 0));
	close(fd);
	close(peer);
	close(listener);
}

static void case_others(void)
{
	struct pair pair = open_pair();
	int on = 1;

	step("FIOCLEX", ioctl(pair.us, FIOCLEX));
	step("F_GETFD", fcntl(pair.us, F_GETFD));
	step("FIONCLEX", ioctl(pair.us, FIONCLEX));
	step("F_GETFD", fcntl(pair.us, F_GETFD));
	step("TCGETS", ioctl(pair.us, TCGETS, &(char[256]){ 0 }));
	step("unknown", ioctl(pair.us, 0x7777, &on));
	step("F_GETOWN", fcntl(pair.us, F_GETOWN));
	step("F_SETOWN", fcntl(pair.us, F_SETOWN, getpid()));
	note("F_GETOWN is us: %d", fcntl(pair.us, F_GETOWN) == getpid());
	step("unknown fcntl", fcntl(pair.us, 7777, 0));
	step("F_GETLK", fcntl(pair.us, F_GETLK, &(struct flock){ .l_type = F_RDLCK }));
	step("closed", fcntl(900, F_GETFL));
	close_pair(pair);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "readable", case_readable, 0 },
		{ "unsent", case_unsent, 0 },
		{ "mark", case_mark, 0 },
		{ "non-blocking", case_non_blocking, 0 },
		{ "before the flow", case_before_the_flow, 0 },
		{ "others", case_others, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
