/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: dup(2) and its siblings, close of duplicates, descriptors under stress. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static void ping(const char *name, int a, int b)
{
	char byte = '-';

	must("send", send(a, "x", 1, MSG_NOSIGNAL));
	outcome(name, recv(b, &byte, 1, 0));
	show("data", &byte, 1);
}

static void case_plain(void)
{
	struct connection connection = open_connection();
	int lowest = dup(0), copy, other;
	char byte;

	close(lowest);
	copy = dup(connection.us);
	note("the lowest: %s", copy == lowest ? "yes" : "no");
	ping("by the copy", copy, connection.them);
	ping("to the copy", connection.them, copy);
	outcome("close the first", close(connection.us));
	ping("the copy lives", copy, connection.them);
	other = dup(copy);
	outcome("close the copy", close(copy));
	ping("the copy's copy lives", connection.them, other);
	outcome("close the last", close(other));
	await(connection.them, POLLIN);
	outcome("they see", recv(connection.them, &byte, 1, 0));
	close(connection.them);
}

static void case_flags(void)
{
	struct connection connection = open_connection();
	int copy = dup(connection.us), cloexec = fcntl(connection.us, F_DUPFD_CLOEXEC, 0);
	int high = fcntl(connection.us, F_DUPFD, 300);

	note("high %d", high);
	outcome("F_GETFD of dup", fcntl(copy, F_GETFD));
	outcome("F_GETFD of F_DUPFD_CLOEXEC", fcntl(cloexec, F_GETFD));
	outcome("F_GETFD of F_DUPFD", fcntl(high, F_GETFD));
	set_nonblocking(copy, true);
	note("non-blocking together: %d", (fcntl(connection.us, F_GETFL) & O_NONBLOCK) != 0);
	outcome("recv by the first", recv(connection.us, &high, 1, 0));
	set_nonblocking(connection.us, false);
	note("blocking together: %d", (fcntl(copy, F_GETFL) & O_NONBLOCK) == 0);
	outcome("F_SETFD", fcntl(copy, F_SETFD, FD_CLOEXEC));
	outcome("the first's", fcntl(connection.us, F_GETFD));
	outcome("F_DUPFD too high", fcntl(connection.us, F_DUPFD, 1 << 30));
	outcome("F_DUPFD negative", fcntl(connection.us, F_DUPFD, -1));
	outcome("dup of closed", dup(-1));
	close(copy);
	close(cloexec);
	close(300);
	close_connection(connection);
}

static void case_over(void)
{
	struct connection connection = open_connection(), other = open_connection();
	int fd = other.us, pipes[2];
	char byte;

	outcome("dup2 to itself", dup2(connection.us, connection.us) == connection.us ? 0 : -1);
	outcome("dup3 to itself", dup3(connection.us, connection.us, 0));
	outcome("dup2 over a connection", dup2(connection.us, fd) == fd ? 0 : -1);
	await(other.them, POLLIN);
	outcome("its peer sees", recv(other.them, &byte, 1, 0));
	ping("by the new one", fd, connection.them);
	outcome("dup2 of closed over it", dup2(-1, fd));
	ping("it still works", connection.them, fd);
	must("pipe", pipe(pipes));
	outcome("dup2 of a pipe over it", dup2(pipes[1], fd) == fd ? 0 : -1);
	outcome("write to the pipe", write(fd, "y", 1));
	outcome("read from it", read(pipes[0], &byte, 1));
	show("data", &byte, 1);
	ping("the first lives", connection.us, connection.them);
	outcome("dup3 over the pipe",
		dup3(connection.us, pipes[0], O_CLOEXEC) == pipes[0] ? 0 : -1);
	outcome("F_GETFD", fcntl(pipes[0], F_GETFD));
	outcome("dup3, bad flags", dup3(connection.us, pipes[0], O_APPEND));
	ping("by it", pipes[0], connection.them);
	outcome("dup2, bad number", dup2(connection.us, -1));
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	close(other.them);
	close_connection(connection);
}

static void case_before_connect(void)
{
	int listener = their_listener(5), fd = open_socket(0), copy = dup(fd), peer;
	struct address address = name_of(listener), mine, copys;

	outcome("connect", connect(copy, (struct sockaddr *)&address.storage, address.length));
	peer = accept_one(listener);
	ping("by the first", fd, peer);
	ping("to the copy", peer, copy);
	mine = name_of(fd);
	copys = name_of(copy);
	note("the same name: %s", port_of(&mine) == port_of(&copys) ? "yes" : "no");
	outcome("close the copy", close(copy));
	ping("by the first", fd, peer);
	close(fd);
	close(peer);
	close(listener);
}

static void case_listener(void)
{
	int listener = open_socket(0), copy = dup(listener), them, fd;
	struct address address = our_address(0);

	outcome("bind", bind(listener, (struct sockaddr *)&address.storage, address.length));
	outcome("listen by the copy", listen(copy, 5));
	address = name_of(listener);
	first_use(listener);
	outcome("close the first", close(listener));
	them = them_connect(&address);
	fd = accept_one(copy);
	ping("accepted by the copy", fd, them);
	close(fd);
	close(them);
	outcome("dup2 over it", dup2(0, copy) == copy ? 0 : -1);
	fd = open_socket(0);
	outcome("the port is free", bind(fd, (struct sockaddr *)&address.storage, address.length));
	close(fd);
	close(copy);
}

static void case_standard_streams(void)
{
	struct connection connection = open_connection();
	int saved = fcntl(0, F_DUPFD_CLOEXEC, 400);
	char byte;

	outcome("dup2 to 0", dup2(connection.us, 0));
	send_all(connection.them, "x", 1);
	outcome("read from 0", read(0, &byte, 1));
	struct pollfd entry = { .fd = 0, .events = POLLIN | POLLOUT };

	outcome("poll 0", poll(&entry, 1, 0));
	note("%s", poll_bits((uint32_t)entry.revents));
	close(connection.us);
	outcome("write to 0", write(0, "y", 1));
	outcome("they get", recv(connection.them, &byte, 1, 0));
	if (saved >= 0)
		dup2(saved, 0);
	else
		close(0);
	await(connection.them, POLLIN);
	outcome("they see", recv(connection.them, &byte, 1, 0));
	close(saved);
	close(connection.them);
}

static void case_fstat(void)
{
	struct connection connection = open_connection();
	struct stat status, copys;
	int copy = dup(connection.us);

	outcome("fstat", fstat(connection.us, &status));
	note("a socket: %d", S_ISSOCK(status.st_mode));
	outcome("fstat of the copy", fstat(copy, &copys));
	note("the same: %d", status.st_ino == copys.st_ino);
	outcome("isatty", isatty(connection.us));
	close(copy);
	close_connection(connection);
}

/* ---- many threads that open and close at the same time ---- */

#define THREADS 8

static struct address target;
static volatile bool stop;
static unsigned long rounds[THREADS], wrong[THREADS];

static void *hammer(void *argument)
{
	unsigned me = (unsigned)(uintptr_t)argument;
	unsigned seed = me;

	while (!stop) {
		int fd = socket(family(), SOCK_STREAM, 0), copy = -1;
		unsigned out = (me << 24) | (rounds[me] & 0xffffff), in = 0;

		if (connect(fd, (struct sockaddr *)&target.storage, target.length) < 0) {
			wrong[me]++;
			close(fd);
			continue;
		}
		if (rand_r(&seed) % 2) {
			copy = rand_r(&seed) % 2 ? dup(fd) : fcntl(fd, F_DUPFD_CLOEXEC, 200);
			close(fd);
			fd = copy;
		}
		if (send(fd, &out, sizeof(out), MSG_NOSIGNAL) != sizeof(out) ||
		    recv(fd, &in, sizeof(in), MSG_WAITALL) != sizeof(in) || in != out)
			wrong[me]++;
		/* Mostly resets: each TIME_WAIT keeps a port for a minute. */
		if (rand_r(&seed) % 16)
			reset(fd);
		else
			close(fd);
		rounds[me]++;
	}
	return NULL;
}

static void echo(int fd)
{
	char buffer[64];

	for (;;) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n <= 0)
			break;
		if (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) < 0)
			break;
	}
	close(fd);
}

static void *serve(void *argument)
{
	int listener = (int)(intptr_t)argument;

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		echo(fd);
	}
}

static void case_stress(void)
{
	int listener = their_listener(128), lowest = dup(0), after;
	pthread_t threads[THREADS], servers[THREADS];
	unsigned long all = 0, bad = 0;

	close(lowest);
	target = name_of(listener);
	stop = false;
	memset(rounds, 0, sizeof(rounds));
	memset(wrong, 0, sizeof(wrong));
	for (uintptr_t i = 0; i < THREADS; i++) {
		pthread_create(&servers[i], NULL, serve, (void *)(intptr_t)listener);
		pthread_create(&threads[i], NULL, hammer, (void *)i);
	}
	pause_ms(stress_seconds() * 1000);
	stop = true;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		all += rounds[i];
		bad += wrong[i];
	}
	shutdown(listener, SHUT_RDWR);
	for (int i = 0; i < THREADS; i++)
		pthread_join(servers[i], NULL);
	close(listener);
	lowest = lowest < listener ? lowest : listener;
	after = dup(0);
	close(after);
	note("rounds: %s, wrong ones: %lu", all > THREADS ? "many" : "too few", bad);
	note("descriptors back: %s", after == lowest ? "yes" : "no");
}

#define ROUNDS 150

/* Both threads close at the same moment, as near as they can. */
static _Atomic int closers;

static void close_together(int fd)
{
	closers++;
	while (closers < 2)
		;
	close(fd);
}

/* Whether the peer hears of the end, and of nothing else. */
static bool ends_by_both(void)
{
	struct connection connection = open_connection();
	int copy = dup(connection.us);
	struct pollfd set = { .fd = connection.them, .events = POLLIN };
	pthread_t thread;
	char bytes[8];
	bool ended;

	for (int i = 0; i < 4; i++) { /* so that it is borrowed, if ever */
		send_all(connection.us, "hello", 5);
		recv(connection.them, bytes, 5, MSG_WAITALL);
		send_all(connection.them, "hello", 5);
		recv(copy, bytes, 5, MSG_WAITALL);
	}
	closers = 0;
	thread = later(0, close_together, copy);
	close_together(connection.us);
	join(thread);
	ended = poll(&set, 1, 10000) == 1 && recv(connection.them, bytes, 1, 0) == 0;
	close(connection.them);
	return ended;
}

static void case_closed_at_once(void)
{
	int ended = 0;

	for (int i = 0; i < ROUNDS; i++)
		ended += ends_by_both();
	note("ended %d of %d", ended, ROUNDS);
}

/*
 * Once the kernel has a connection for good a stream on it is libc's, which closes the number
 * unseen. That number is the connection's again next, and then a file's.
 */
static void case_streams_of_the_kernels(void)
{
	struct connection connection = open_talking();

	outcome("a bad direction", shutdown(connection.us, 7));
	for (int i = 0; i < 2; i++) {
		int copy = dup(connection.us);
		FILE *stream = fdopen(copy, "w");

		if (!stream)
			broken("fdopen: %s", errno_name(errno));
		outcome("print", fprintf(stream, "hello"));
		outcome("close the stream", fclose(stream));
		outcome("its number", fcntl(copy, F_GETFD));
	}
	/* The same number, and nothing of the connection's. */
	outcome("close another", close(open("/dev/null", O_RDONLY)));
	outcome("close", close(connection.us));
	note("there are %zu bytes", drain(connection.them, 20));
	close(connection.them);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "plain", case_plain, 0 },
		{ "flags", case_flags, 0 },
		{ "over", case_over, 0 },
		{ "before connect", case_before_connect, 0 },
		{ "listener", case_listener, 0 },
		{ "standard streams", case_standard_streams, 0 },
		{ "streams of the kernel's", case_streams_of_the_kernels, 0 },
		{ "fstat", case_fstat, 0 },
		{ "stress", case_stress, 90 },
		{ "closed at once", case_closed_at_once, 90 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
