/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: ioctl(2) and fcntl(2) on sockets, and every way to O_NONBLOCK. */
#include "harness.h"

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
	struct connection connection = open_connection();
	int listener = our_listener(1), fd = open_socket(0);
	char buffer[8];

	ask("nothing there", connection.us, FIONREAD);
	send_all(connection.them, "hello", 5);
	await_bytes(connection.us, 5);
	ask("five", connection.us, FIONREAD);
	outcome("peek", recv(connection.us, buffer, 3, MSG_PEEK));
	ask("still five", connection.us, FIONREAD);
	outcome("take", recv(connection.us, buffer, 3, 0));
	ask("two", connection.us, FIONREAD);
	ask("SIOCINQ", connection.us, SIOCINQ);
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	ask("the end does not count", connection.us, FIONREAD);
	outcome("take", recv(connection.us, buffer, 3, 0));
	ask("at the end", connection.us, FIONREAD);
	ask("listener", listener, FIONREAD);
	ask("fresh", fd, FIONREAD);
	outcome("bad pointer", ioctl(connection.us, FIONREAD, bad_pointer()));
	ask("closed", 900, FIONREAD);
	close(listener);
	close(fd);
	close_connection(connection);
}

static void case_unsent(void)
{
	struct connection connection = open_connection();
	int value = -1, listener = our_listener(1);
	size_t bytes;

	ask("nothing sent", connection.us, SIOCOUTQ);
	send_all(connection.us, "hello", 5);
	note("drained %zu", drain(connection.them, 5));
	for (int i = 0; i < 100 && value != 0; i++) {
		must("SIOCOUTQ", ioctl(connection.us, SIOCOUTQ, &value));
		pause_ms(10);
	}
	ask("all taken", connection.us, SIOCOUTQ);
	bytes = fill(connection.us);
	must("SIOCOUTQ", ioctl(connection.us, SIOCOUTQ, &value));
	note("full: %s", value > 0 && (size_t)value <= bytes ? "a part of it" : "odd");
	must("TIOCOUTQ", ioctl(connection.us, TIOCOUTQ, &value));
	note("full: %s", value > 0 && (size_t)value <= bytes ? "a part of it" : "odd");
	ask("SIOCOUTQNSD", connection.them, SIOCOUTQNSD);
	ask("listener", listener, SIOCOUTQ);
	outcome("bad pointer", ioctl(connection.us, SIOCOUTQ, bad_pointer()));
	close(listener);
	close_connection(connection);
}

/* A FIN that the peer has no room for counts as a byte. */
static void case_unsent_end(void)
{
	struct connection connection = open_connection();
	int before = -1, after = -1;

	fill(connection.us);
	settle();
	must("SIOCOUTQ", ioctl(connection.us, SIOCOUTQ, &before));
	shutdown(connection.us, SHUT_WR);
	must("SIOCOUTQ", ioctl(connection.us, SIOCOUTQ, &after));
	note("a FIN: %d more", after - before);
	close_connection(connection);
	connection = open_connection();
	shutdown(connection.us, SHUT_WR);
	await(connection.them, POLLRDHUP);
	for (int i = 0; i < 100 && after != 0; i++) {
		must("SIOCOUTQ", ioctl(connection.us, SIOCOUTQ, &after));
		pause_ms(10);
	}
	ask("it has come", connection.us, SIOCOUTQ);
	close_connection(connection);
}

static void case_mark(void)
{
	struct connection connection = open_connection();

	ask("no urgent data", connection.us, SIOCATMARK);
	outcome("sockatmark", sockatmark(connection.us));
	send_all(connection.them, "hello", 5);
	await_bytes(connection.us, 5);
	ask("with data", connection.us, SIOCATMARK);
	outcome("isfdtype, socket", isfdtype(connection.us, 0140000));
	outcome("isfdtype, file", isfdtype(connection.us, 0100000));
	close_connection(connection);
}

static void outcome_mode(const char *name, int fd)
{
	char byte;

	note("%s: flags %o", name, (unsigned)fcntl(fd, F_GETFL));
	if (fcntl(fd, F_GETFL) & O_NONBLOCK)
		outcome("recv", recv(fd, &byte, 1, 0));
}

static void case_non_blocking(void)
{
	struct connection connection = open_connection();
	int on = 1, off = 0, fd;

	outcome_mode("default", connection.us);
	outcome("FIONBIO", ioctl(connection.us, FIONBIO, &on));
	outcome_mode("FIONBIO on", connection.us);
	outcome("FIONBIO", ioctl(connection.us, FIONBIO, &off));
	outcome_mode("FIONBIO off", connection.us);
	outcome("F_SETFL", fcntl(connection.us, F_SETFL, O_NONBLOCK));
	outcome_mode("F_SETFL on", connection.us);
	outcome("FIONBIO", ioctl(connection.us, FIONBIO, &off));
	outcome_mode("FIONBIO off", connection.us);
	outcome("FIONBIO", ioctl(connection.us, FIONBIO, &on));
	outcome("F_SETFL", fcntl(connection.us, F_SETFL, 0));
	outcome_mode("F_SETFL off", connection.us);
	outcome("F_SETFL", fcntl(connection.us, F_SETFL, O_NDELAY));
	outcome_mode("O_NDELAY", connection.us);
	outcome("bad pointer", ioctl(connection.us, FIONBIO, bad_pointer()));
	close_connection(connection);
	fd = open_socket(SOCK_NONBLOCK);
	outcome_mode("SOCK_NONBLOCK", fd);
	close(fd);
	fd = open_socket(SOCK_CLOEXEC);
	outcome("SOCK_CLOEXEC", fcntl(fd, F_GETFD));
	close(fd);
	outcome("bad type", socket(family(), SOCK_STREAM | 0x100000, 0));
	outcome("bad protocol", socket(family(), SOCK_STREAM, 17));
	outcome("bad family", socket(99, SOCK_STREAM, 0));
	fd = socket(family(), SOCK_STREAM, 6);
	outcome_mode("protocol given", fd);
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
	outcome("recv, non-blocking", recv(fd, &byte, 1, 0));
	set_nonblocking(fd, false);
	send_all(peer, "x", 1);
	outcome("recv, blocking", recv(fd, &byte, 1, 0));
	close(fd);
	close(peer);
	close(listener);
}

static void case_others(void)
{
	struct connection connection = open_connection();
	int on = 1;

	outcome("FIOCLEX", ioctl(connection.us, FIOCLEX));
	outcome("F_GETFD", fcntl(connection.us, F_GETFD));
	outcome("FIONCLEX", ioctl(connection.us, FIONCLEX));
	outcome("F_GETFD", fcntl(connection.us, F_GETFD));
	outcome("TCGETS", ioctl(connection.us, TCGETS, &(char[256]){ 0 }));
	outcome("unknown", ioctl(connection.us, 0x7777, &on));
	outcome("F_GETOWN", fcntl(connection.us, F_GETOWN));
	outcome("F_SETOWN", fcntl(connection.us, F_SETOWN, getpid()));
	note("F_GETOWN is us: %d", fcntl(connection.us, F_GETOWN) == getpid());
	outcome("unknown fcntl", fcntl(connection.us, 7777, 0));
	outcome("F_GETLK", fcntl(connection.us, F_GETLK, &(struct flock){ .l_type = F_RDLCK }));
	outcome("closed", fcntl(900, F_GETFL));
	close_connection(connection);
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
	struct connection connection = open_connection();
	int on = 1, off = 0, before;
	char buffer[8];

	sigaction(SIGIO, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	outcome("F_SETOWN", fcntl(connection.us, F_SETOWN, getpid()));
	outcome("FIOASYNC", ioctl(connection.us, FIOASYNC, &on));
	note("O_ASYNC %d", !!(fcntl(connection.us, F_GETFL) & O_ASYNC));
	before = count;
	send_all(connection.them, "a", 1);
	note("SIGIO: %d", counted(before));
	before = count;
	send_all(connection.them, "b", 1);
	note("again: %d", counted(before));
	outcome("FIOASYNC", ioctl(connection.us, FIOASYNC, &off));
	before = count;
	send_all(connection.them, "c", 1);
	settle();
	note("off: %d", count > before);
	await_bytes(connection.us, 3);
	outcome("recv", recv(connection.us, buffer, 8, 0));

	outcome("F_SETSIG", fcntl(connection.us, F_SETSIG, SIGUSR1));
	outcome("O_ASYNC", fcntl(connection.us, F_SETFL, fcntl(connection.us, F_GETFL) | O_ASYNC));
	before = count;
	send_all(connection.them, "d", 1);
	note("SIGUSR1: %d", counted(before));
	note("input %d, our descriptor %d", !!(band & POLLIN), (int)(by == connection.us));
	settle();
	before = count;
	shutdown(connection.them, SHUT_WR);
	note("the end: %d", counted(before));
	outcome("O_ASYNC off",
		fcntl(connection.us, F_SETFL, fcntl(connection.us, F_GETFL) & ~O_ASYNC));
	close_connection(connection);
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
	outcome("F_SETOWN", fcntl(listener, F_SETOWN, getpid()));
	outcome("O_ASYNC", fcntl(listener, F_SETFL, O_ASYNC | O_NONBLOCK));
	first_use(listener);
	them = them_connect(&address);
	note("SIGIO: %d", counted(before));
	us = accept(listener, NULL, NULL);
	outcome("accept", us < 0 ? us : 0);
	note("accepted, O_ASYNC %d", !!(fcntl(us, F_GETFL) & O_ASYNC));
	signal(SIGIO, SIG_DFL);
	close(us);
	close(them);
	close(listener);
}

static int open_signalled(struct connection *connection)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_RESTART };

	*connection = open_connection();
	sigaction(SIGIO, &action, NULL);
	must("F_SETOWN", fcntl(connection->us, F_SETOWN, getpid()));
	must("O_ASYNC", fcntl(connection->us, F_SETFL, fcntl(connection->us, F_GETFL) | O_ASYNC));
	settle();
	return count;
}

/* Returns how many there are by now, for the next call. */
static int note_signal(const char *name, int before)
{
	settle();
	note("%s: %s", name, count > before ? "SIGIO" : "no signal");
	return count;
}

static void set_low_water(int fd, int bytes)
{
	outcome("SO_RCVLOWAT", setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)));
}

/* The option itself is news if as much is there by then. */
static void case_signals_and_low_water(void)
{
	struct connection connection;
	int before = open_signalled(&connection);
	char buffer[8];

	send_all(connection.them, "abc", 3);
	await_bytes(connection.us, 3);
	before = note_signal("three bytes", before);
	set_low_water(connection.us, 10);
	before = note_signal("ten are wanted", before);
	send_all(connection.them, "de", 2);
	await_bytes(connection.us, 5);
	before = note_signal("two more", before);
	set_low_water(connection.us, 5);
	before = note_signal("five are wanted", before);
	set_low_water(connection.us, 5);
	before = note_signal("the same again", before);
	outcome("recv", recv(connection.us, buffer, sizeof(buffer), 0));
	set_low_water(connection.us, 1);
	before = note_signal("nothing is there", before);
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	before = note_signal("the end", before);
	set_low_water(connection.us, 2);
	note_signal("two are wanted at the end", before);
	signal(SIGIO, SIG_DFL);
	close_connection(connection);
}

static void shut_down_signalled(int how, bool they_first)
{
	struct connection connection;
	int before = open_signalled(&connection);

	note("how %d, %s first", how, they_first ? "they" : "we");
	if (they_first) {
		shutdown(connection.them, SHUT_WR);
		await(connection.us, POLLRDHUP);
		before = note_signal("their end", before);
	}
	outcome("shutdown", shutdown(connection.us, how));
	before = note_signal("ours", before);
	outcome("shutdown", shutdown(connection.us, how) < 0 ? -1 : 0);
	before = note_signal("again", before);
	if (!they_first && how != SHUT_RDWR) {
		send_all(connection.them, "abc", 3);
		before = note_signal("their data", before);
	}
	if (!they_first) {
		shutdown(connection.them, SHUT_WR);
		before = note_signal("their end", before);
	}
	signal(SIGIO, SIG_DFL);
	close_connection(connection);
}

/* Linux wakes those who wait, and sends no signal. */
static void case_signals_and_shutdown(void)
{
	for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
		shut_down_signalled(how, false);
		shut_down_signalled(how, true);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "readable", case_readable, 0 },
		{ "unsent", case_unsent, 0 },
		{ "unsent end", case_unsent_end, 0 },
		{ "mark", case_mark, 0 },
		{ "non-blocking", case_non_blocking, 0 },
		{ "before the flow", case_before_the_flow, 0 },
		{ "others", case_others, 0 },
		{ "signals", case_signals, 0 },
		{ "signal of a listener", case_signal_of_listener, 0 },
		{ "signals and low water", case_signals_and_low_water, 0 },
		{ "signals and shutdown", case_signals_and_shutdown, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
