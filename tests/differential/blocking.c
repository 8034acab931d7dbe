/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: calls that wait, and all that ends the waiting; full buffers. */
#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define LIMIT_MS 200
#define LEAST_MS 185  /* Linux counts ticks of up to 10 ms for it, the first of which has begun */
#define SLACK_MS 3000 /* how late a wake-up may come on a machine under load */

static volatile sig_atomic_t signals;
static struct connection now;
static size_t filled;

static void count_signal(int number)
{
	(void)number;
	signals++;
}

static void alarm_in(unsigned ms, int flags)
{
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };

	signals = 0;
	sigaction(SIGALRM, &action, NULL);
	signal_later(ms, SIGALRM);
}

static void set_limit(int fd, int option, unsigned ms)
{
	struct timeval limit = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	must("time limit", setsockopt(fd, SOL_SOCKET, option, &limit, sizeof(limit)));
}

static void send_abc(int fd)
{
	send_all(fd, "abc", 3);
}

static void close_it(int fd)
{
	close(fd);
}

static void shut_read(int fd)
{
	shutdown(fd, SHUT_RD);
}

static void shut_write(int fd)
{
	shutdown(fd, SHUT_WR);
}

static void shut_both(int fd)
{
	shutdown(fd, SHUT_RDWR);
}

static void drain_it(int fd)
{
	drain(fd, filled);
}

static void they_connect(int listener)
{
	struct address address = name_of(listener);

	now.them = them_connect(&address);
}

/* What ends a call that begins anew after a handler comes after the handler, however late. */
static void await_handler(void)
{
	for (int i = 0; i < 500 && !signals; i++)
		pause_ms(10);
}

static void drain_after_handler(int fd)
{
	await_handler();
	drain_it(fd);
}

static void send_after_handler(int fd)
{
	await_handler();
	send_abc(fd);
}

static void connect_after_handler(int listener)
{
	await_handler();
	they_connect(listener);
}

/* Whether there is room, which there may be once more: WHEN_FULL. */
static int poll_full(struct pollfd *entry)
{
	int result = poll(entry, 1, 0);

	for (int i = 0; i < FULL_TRIES && result > 0; i++) {
		filled += fill(entry->fd);
		result = poll(entry, 1, 0);
	}
	return result;
}

static void case_full(void)
{
	struct connection connection = open_connection();
	struct pollfd entry = { .fd = connection.us, .events = POLLIN | POLLOUT };
	static char block[100000];

	outcome("poll, room", poll(&entry, 1, 0));
	note("%s", poll_bits((uint32_t)entry.revents));
	filled = fill(connection.us);
	note("filled %s", filled > 0 ? "some" : "nothing");
	outcome("send", WHEN_FULL(connection.us, &filled, send(connection.us, "x", 1, 0)));
	outcome("write", WHEN_FULL(connection.us, &filled, write(connection.us, "x", 1)));
	outcome("send, large",
		WHEN_FULL(connection.us, &filled, send(connection.us, block, sizeof(block), 0)));
	outcome("poll, no room", poll_full(&entry));
	set_nonblocking(connection.us, false);
	outcome("send, DONTWAIT",
		WHEN_FULL(connection.us, &filled, send(connection.us, "x", 1, MSG_DONTWAIT)));
	note("drained %s", drain(connection.them, filled) == filled ? "all" : "not all");
	await(connection.us, POLLOUT);
	outcome("send, room again", send(connection.us, "x", 1, MSG_DONTWAIT));
	note("drained %s", drain(connection.them, 1) == 1 ? "all" : "not all");
	close_connection(connection);
}

static void case_partial(void)
{
	enum { SIZE = 32 << 20 };
	static char block[SIZE];
	struct connection connection = open_connection();
	const int room = 1 << 20;
	ssize_t n;

	/* Linux lets the peer's buffer grow with what it reads, up to all that is sent here. */
	setsockopt(connection.them, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	set_nonblocking(connection.us, true);
	n = send(connection.us, block, SIZE, 0);
	note("sent %s", n <= 0 ? errno_name(errno) : n < SIZE ? "a part" : "all");
	note("drained %s", drain(connection.them, (size_t)n) == (size_t)n ? "all" : "not all");
	set_nonblocking(connection.us, false);
	filled = SIZE;
	pthread_t thread = later(10, drain_it, connection.them);

	outcome("blocking, all of it", send(connection.us, block, SIZE, 0));
	join(thread);
	set_limit(connection.us, SO_SNDTIMEO, LIMIT_MS);
	n = send(connection.us, block, SIZE, 0);
	note("with a time limit: %s", n <= 0 ? errno_name(errno) : n < SIZE ? "a part" : "all");
	close_connection(connection);
}

static void case_send_waits(void)
{
	struct connection connection = open_connection();
	pthread_t thread;
	int64_t start;

	filled = fill(connection.us);
	set_nonblocking(connection.us, false);
	thread = later(LIMIT_MS, drain_it, connection.them);
	start = now_ms();
	outcome("send", send(connection.us, "abc", 3, 0));
	note_duration("it waited", now_ms() - start, LIMIT_MS / 2, SLACK_MS);
	join(thread);
	note("drained %s", drain(connection.them, 3) == 3 ? "all" : "not all");

	filled = fill(connection.us);
	set_nonblocking(connection.us, false);
	set_limit(connection.us, SO_SNDTIMEO, LIMIT_MS);
	start = now_ms();
	outcome("send with a limit", send(connection.us, "abc", 3, 0));
	note_duration("it waited", now_ms() - start, LEAST_MS, SLACK_MS);
	start = now_ms();
	outcome("write with a limit", write(connection.us, "abc", 3));
	note_duration("it waited", now_ms() - start, LEAST_MS, SLACK_MS);
	set_limit(connection.us, SO_SNDTIMEO, 0);

	alarm_in(100, 0);
	outcome("send, interrupted", send(connection.us, "abc", 3, 0));
	note("signals %d", (int)signals);
	alarm_in(100, SA_RESTART);
	thread = later(LIMIT_MS, drain_after_handler, connection.them);
	outcome("send, interrupted and restarted", send(connection.us, "abc", 3, 0));
	note("signals %d", (int)signals);
	join(thread);
	note("drained %s", drain(connection.them, 3) == 3 ? "all" : "not all");
	close_connection(connection);
}

static void case_send_ended(void)
{
	static void (*const ends[])(int) = { shut_write, shut_both };
	struct connection connection;
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		connection = open_connection();
		fill(connection.us);
		set_nonblocking(connection.us, false);
		thread = later(100, ends[i], connection.us);
		outcome_at("shut down meanwhile", i, send(connection.us, "abc", 3, 0));
		join(thread);
		close_connection(connection);
	}
	connection = open_connection();
	fill(connection.us);
	set_nonblocking(connection.us, false);
	thread = later(100, reset, connection.them);
	outcome("reset meanwhile", send(connection.us, "abc", 3, 0));
	outcome("and again", send(connection.us, "abc", 3, 0));
	join(thread);
	close(connection.us);
}

/* A call that has sent a part says so; what has ended it is for the next one. */
static void case_reset_behind_a_part(void)
{
	enum { SIZE = 32 << 20 };
	static char block[SIZE];
	struct connection connection = open_talking();
	const int room = 1 << 20;
	pthread_t thread;
	ssize_t n;

	signal(SIGPIPE, SIG_IGN);
	setsockopt(connection.them, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	thread = later(100, reset, connection.them);
	n = send(connection.us, block, SIZE, 0);
	note("sent %s", n <= 0 ? errno_name(errno) : n < SIZE ? "a part" : "all");
	join(thread);
	outcome("then the reset", send(connection.us, "abc", 3, 0));
	outcome("then the end", send(connection.us, "abc", 3, 0));
	close(connection.us);
}

static void case_receive_waits(void)
{
	struct connection connection = open_connection();
	char buffer[8];
	struct msghdr header = { .msg_iov = &(struct iovec){ buffer, 8 }, .msg_iovlen = 1 };
	pthread_t thread = later(LIMIT_MS, send_abc, connection.them);
	int64_t start = now_ms();

	outcome("recv", recv(connection.us, buffer, 8, 0));
	note_duration("it waited", now_ms() - start, LIMIT_MS / 2, SLACK_MS);
	join(thread);
	set_limit(connection.us, SO_RCVTIMEO, LIMIT_MS);
	start = now_ms();
	outcome("recv with a limit", recv(connection.us, buffer, 8, 0));
	note_duration("it waited", now_ms() - start, LEAST_MS, SLACK_MS);
	outcome("read with a limit", read(connection.us, buffer, 8));
	outcome("recvmsg with a limit", recvmsg(connection.us, &header, 0));
	set_limit(connection.us, SO_RCVTIMEO, 10000);
	thread = later(100, send_abc, connection.them);
	outcome("recv in time", recv(connection.us, buffer, 8, 0));
	join(thread);
	alarm_in(100, SA_RESTART);
	outcome("a limit is not restarted", recv(connection.us, buffer, 8, 0));
	set_limit(connection.us, SO_RCVTIMEO, 0);

	alarm_in(100, 0);
	outcome("recv, interrupted", recv(connection.us, buffer, 8, 0));
	note("signals %d", (int)signals);
	alarm_in(100, 0);
	outcome("read, interrupted", read(connection.us, buffer, 8));
	alarm_in(100, SA_RESTART);
	thread = later(LIMIT_MS, send_after_handler, connection.them);
	outcome("recv, interrupted and restarted", recv(connection.us, buffer, 8, 0));
	note("signals %d", (int)signals);
	join(thread);

	send_abc(connection.them);
	await_bytes(connection.us, 3);
	alarm_in(100, 0);
	outcome("WAITALL, interrupted in the middle", recv(connection.us, buffer, 8, MSG_WAITALL));
	close_connection(connection);
}

static void case_receive_ended(void)
{
	static void (*const ends[])(int) = { shut_read, shut_both };
	struct connection connection;
	pthread_t thread;
	char buffer[8];

	for (int i = 0; i < 2; i++) {
		connection = open_connection();
		thread = later(100, ends[i], connection.us);
		outcome_at("shut down meanwhile", i, recv(connection.us, buffer, 8, 0));
		join(thread);
		close_connection(connection);
	}
	connection = open_connection();
	thread = later(100, close_it, connection.them);
	outcome("their close", recv(connection.us, buffer, 8, 0));
	join(thread);
	close(connection.us);

	connection = open_connection();
	thread = later(100, reset, connection.them);
	outcome("their reset", recv(connection.us, buffer, 8, 0));
	outcome("and again", recv(connection.us, buffer, 8, 0));
	join(thread);
	close(connection.us);

	connection = open_connection();
	thread = later(100, shut_write, connection.them);
	outcome("their shutdown", recv(connection.us, buffer, 8, 0));
	join(thread);
	close_connection(connection);
}

static void close_us_then_send(int fd)
{
	close(fd);
	settle();
	send_abc(now.them);
}

static void close_us_then_signal(int fd)
{
	close(fd);
	settle();
	kill(getpid(), SIGALRM);
}

/* By then the number of the call is no descriptor any more: who begins anew finds out. */
static void closed_and_interrupted(int flags)
{
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };
	pthread_t thread;
	char buffer[8];

	signals = 0;
	sigaction(SIGALRM, &action, NULL);
	now = open_talking();
	thread = later(100, close_us_then_signal, now.us);
	outcome("recv", recv(now.us, buffer, 8, 0));
	join(thread);
	note("signals %d", (int)signals);
	await(now.them, POLLIN);
	outcome("they see the end", recv(now.them, buffer, 8, MSG_DONTWAIT));
	close(now.them);
}

/* Linux goes on with the call that has begun; the connection ends after it. */
static void case_closed_while_blocked(void)
{
	char buffer[8];
	pthread_t thread;

	now = open_talking();
	thread = later(100, close_us_then_send, now.us);
	outcome("recv", recv(now.us, buffer, 8, 0));
	join(thread);
	outcome("recv again", recv(now.us, buffer, 8, 0));
	await(now.them, POLLIN);
	outcome("they see the end", recv(now.them, buffer, 8, MSG_DONTWAIT));
	close(now.them);
	closed_and_interrupted(0);
	closed_and_interrupted(SA_RESTART);
}

static void case_accept_waits(void)
{
	int listener = our_listener(5), fd;
	pthread_t thread = later(100, they_connect, listener);

	fd = accept(listener, NULL, NULL);
	note("accept: %s", fd >= 0 ? "a descriptor" : errno_name(errno));
	join(thread);
	close(fd);
	close(now.them);
	set_limit(listener, SO_RCVTIMEO, LIMIT_MS);
	int64_t start = now_ms();

	outcome("accept with a limit", accept(listener, NULL, NULL));
	note_duration("it waited", now_ms() - start, LEAST_MS, SLACK_MS);
	set_limit(listener, SO_RCVTIMEO, 0);
	alarm_in(100, 0);
	outcome("accept, interrupted", accept(listener, NULL, NULL));
	alarm_in(100, SA_RESTART);
	thread = later(LIMIT_MS, connect_after_handler, listener);
	fd = accept(listener, NULL, NULL);
	note("accept, restarted: %s", fd >= 0 ? "a descriptor" : errno_name(errno));
	join(thread);
	close(fd);
	close(now.them);
	thread = later(100, shut_read, listener);
	outcome("accept, shut down", accept(listener, NULL, NULL));
	join(thread);
	outcome("accept after it", accept(listener, NULL, NULL));
	close(listener);
}

static void case_sleeps(void)
{
	struct connection connection = open_connection();
	struct timespec before, after;
	pthread_t thread = later(1000, send_abc, connection.them);
	char buffer[8];

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	outcome("recv", recv(connection.us, buffer, 8, 0));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	join(thread);
	note_duration("processor time of a second's wait",
		      (after.tv_sec - before.tv_sec) * 1000 +
			      (after.tv_nsec - before.tv_nsec) / 1000000,
		      0, 300);
	filled = fill(connection.us);
	set_nonblocking(connection.us, false);
	thread = later(1000, drain_it, connection.them);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	outcome("send", send(connection.us, "x", 1, 0));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	join(thread);
	note_duration("processor time of a second's wait",
		      (after.tv_sec - before.tv_sec) * 1000 +
			      (after.tv_nsec - before.tv_nsec) / 1000000,
		      0, 300);
	close_connection(connection);
}

/* TCP_USER_TIMEOUT also ends a connection whose peer answers, but takes nothing (tcp(7)). */
static void case_peer_takes_nothing(void)
{
	struct connection connection = open_connection();
	int limit = 1000;
	char byte;
	int64_t start;

	fill(connection.us); /* which may take longer than the limit */
	start = now_ms();
	outcome("TCP_USER_TIMEOUT",
		setsockopt(connection.us, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof(limit)));
	await(connection.us, POLLHUP);
	note_duration("it took", now_ms() - start, 0, 4500);
	outcome("recv", recv(connection.us, &byte, 1, 0));
	outcome("recv again", recv(connection.us, &byte, 1, 0));
	outcome("send", send(connection.us, "x", 1, MSG_NOSIGNAL));
	close_connection(connection);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "full", case_full, 0 },
		{ "partial", case_partial, 30 },
		{ "send waits", case_send_waits, 30 },
		{ "send ended", case_send_ended, 20 },
		{ "reset behind a part", case_reset_behind_a_part, 0 },
		{ "receive waits", case_receive_waits, 0 },
		{ "receive ended", case_receive_ended, 0 },
		{ "accept waits", case_accept_waits, 0 },
		{ "sleeps", case_sleeps, 0 },
		{ "peer takes nothing", case_peer_takes_nothing, 20 },
		{ "closed while blocked", case_closed_while_blocked, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
