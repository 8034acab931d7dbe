/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: ioctl(2) and fcntl(2) on sockets, and every way to O_NONBLOCK. */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
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

/* Not the code: a process cannot queue the kernel's. */
static volatile sig_atomic_t count, band, by;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	count++;
	band = (sig_atomic_t)info->si_band;
	by = info->si_fd;
}

static bool counted(int more_than)
{
	for (int i = 0; i < 500 && count <= more_than; i++)
		pause_ms(10);
	return count > more_than;
}

/* fcntl(2): the owner is told when there is something to read. */
static void case_signals(void)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_RESTART };
	struct pair pair = open_pair();
	int on = 1, off = 0, before;
	char buffer[8];

	sigaction(SIGIO, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	step("F_SETOWN", fcntl(pair.us, F_SETOWN, getpid()));
	step("FIOASYNC", ioctl(pair.us, FIOASYNC, &on));
	note("O_ASYNC %d", !!(fcntl(pair.us, F_GETFL) & O_ASYNC));
	before = count;
	send_all(pair.them, "a", 1);
	note("SIGIO: %d", counted(before));
	before = count;
	send_all(pair.them, "b", 1);
	note("again: %d", counted(before));
	step("FIOASYNC", ioctl(pair.us, FIOASYNC, &off));
	before = count;
	send_all(pair.them, "c", 1);
	settle();
	note("off: %d", count > before);
	await_bytes(pair.us, 3);
	step("recv", recv(pair.us, buffer, 8, 0));

	step("F_SETSIG", fcntl(pair.us, F_SETSIG, SIGUSR1));
	step("O_ASYNC", fcntl(pair.us, F_SETFL, fcntl(pair.us, F_GETFL) | O_ASYNC));
	before = count;
	send_all(pair.them, "d", 1);
	note("SIGUSR1: %d", counted(before));
	note("input %d, our descriptor %d", !!(band & POLLIN), (int)(by == pair.us));
	settle();
	before = count;
	shutdown(pair.them, SHUT_WR);
	note("the end: %d", counted(before));
	step("O_ASYNC off", fcntl(pair.us, F_SETFL, fcntl(pair.us, F_GETFL) & ~O_ASYNC));
	close_pair(pair);
	signal(SIGIO, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
}

static void case_signal_of_listener(void)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_RESTART };
	int listener = our_listener(5), them, us, before = count;
	struct address address = name_of(listener);

	sigaction(SIGIO, &action, NULL);
	step("F_SETOWN", fcntl(listener, F_SETOWN, getpid()));
	step("O_ASYNC", fcntl(listener, F_SETFL, O_ASYNC | O_NONBLOCK));
	first_use(listener);
	them = them_connect(&address);
	note("SIGIO: %d", counted(before));
	us = accept(listener, NULL, NULL);
	step("accept", us < 0 ? us : 0);
	note("accepted, O_ASYNC %d", !!(fcntl(us, F_GETFL) & O_ASYNC));
	signal(SIGIO, SIG_DFL);
	close(us);
	close(them);
	close(listener);
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
		{ "signals", case_signals, 0 },
		{ "signal of a listener", case_signal_of_listener, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
