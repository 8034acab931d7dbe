/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: calls that wait, and all that ends the waiting; full buffers. */
#include "step.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define LIMIT_MS 200
#define SLACK_MS 3000 /* how late a wake-up may come on a machine under load */

static volatile sig_atomic_t signals;
static struct pair now;
static size_t filled;

static void count_signal(int number)
{
	(void)number;
	signals++;
}

static void alarm_in(unsigned ms, int flags)
{
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };
	struct itimerval timer = { .it_value = { .tv_usec = (suseconds_t)ms * 1000 } };

	signals = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
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

static void case_full(void)
{
	struct pair pair = open_pair();
	struct pollfd entry = { .fd = pair.us, .events = POLLIN | POLLOUT };
	static char block[100000];

	step("poll, room", poll(&entry, 1, 0));
	note("%s", poll_bits((uint32_t)entry.revents));
	filled = fill(pair.us);
	note("filled %s", filled > 0 ? "some" : "nothing");
	step("send", send(pair.us, "x", 1, 0));
	step("write", write(pair.us, "x", 1));
	step("send, large", send(pair.us, block, sizeof(block), 0));
	step("poll, no room", poll(&entry, 1, 0));
	set_nonblocking(pair.us, false);
	step("send, DONTWAIT", send(pair.us, "x", 1, MSG_DONTWAIT));
	note("drained %s", drain(pair.them, filled) == filled ? "all" : "not all");
	await(pair.us, POLLOUT);
	step("send, room again", send(pair.us, "x", 1, MSG_DONTWAIT));
	note("drained %s", drain(pair.them, 1) == 1 ? "all" : "not all");
	close_pair(pair);
}

static void case_partial(void)
{
	enum { SIZE = 32 << 20 };
	static char block[SIZE];
	struct pair pair = open_pair();
	ssize_t n;

	set_nonblocking(pair.us, true);
	n = send(pair.us, block, SIZE, 0);
	note("sent %s", n <= 0 ? errno_name(errno) : n < SIZE ? "a part" : "all");
	note("drained %s", drain(pair.them, (size_t)n) == (size_t)n ? "all" : "not all");
	set_nonblocking(pair.us, false);
	filled = SIZE;
	pthread_t thread = later(10, drain_it, pair.them);

	step("blocking, all of it", send(pair.us, block, SIZE, 0));
	join(thread);
	set_limit(pair.us, SO_SNDTIMEO, LIMIT_MS);
	n = send(pair.us, block, SIZE, 0);
	note("with a time limit: %s", n <= 0 ? errno_name(errno) : n < SIZE ? "a part" : "all");
	close_pair(pair);
}

static void case_send_waits(void)
{
	struct pair pair = open_pair();
	pthread_t thread;
	int64_t start;

	filled = fill(pair.us);
	set_nonblocking(pair.us, false);
	thread = later(LIMIT_MS, drain_it, pair.them);
	start = now_ms();
	step("send", send(pair.us, "abc", 3, 0));
	note_duration("it waited", now_ms() - start, LIMIT_MS / 2, SLACK_MS);
	join(thread);
	note("drained %s", drain(pair.them, 3) == 3 ? "all" : "not all");

	filled = fill(pair.us);
	set_nonblocking(pair.us, false);
	set_limit(pair.us, SO_SNDTIMEO, LIMIT_MS);
	start = now_ms();
	step("send with a limit", send(pair.us, "abc", 3, 0));
	note_duration("it waited", now_ms() - start, LIMIT_MS, SLACK_MS);
	start = now_ms();
	step("write with a limit", write(pair.us, "abc", 3));
	note_duration("it waited", now_ms() - start, LIMIT_MS, SLACK_MS);
	set_limit(pair.us, SO_SNDTIMEO, 0);

	alarm_in(100, 0);
	step("send, interrupted", send(pair.us, "abc", 3, 0));
	note("signals %d", (int)signals);
	alarm_in(100, SA_RESTART);
	thread = later(LIMIT_MS, drain_it, pair.them);
	step("send, interrupted and restarted", send(pair.us, "abc", 3, 0));
	note("signals %d", (int)signals);
	join(thread);
	note("drained %s", drain(pair.them, 3) == 3 ? "all" : "not all");
	close_pair(pair);
}

static void case_send_ended(void)
{
	static void (*const ends[])(int) = { shut_write, shut_both };
	struct pair pair;
	pthread_t thread;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		pair = open_pair();
		fill(pair.us);
		set_nonblocking(pair.us, false);
		thread = later(100, ends[i], pair.us);
		step_at("shut down meanwhile", i, send(pair.us, "abc", 3, 0));
		join(thread);
		close_pair(pair);
	}
	pair = open_pair();
	fill(pair.us);
	set_nonblocking(pair.us, false);
	thread = later(100, reset, pair.them);
	step("reset meanwhile", send(pair.us, "abc", 3, 0));
	step("and again", send(pair.us, "abc", 3, 0));
	join(thread);
	close(pair.us);
}

static void case_receive_waits(void)
{
	struct pair pair = open_pair();
	char buffer[8];
	struct msghdr header = { .msg_iov = &(struct iovec){ buffer, 8 }, .msg_iovlen = 1 };
	pthread_t thread = later(LIMIT_MS, send_abc, pair.them);
	int64_t start = now_ms();

	step("recv", recv(pair.us, buffer, 8, 0));
	note_duration("it waited", now_ms() - start, LIMIT_MS / 2, SLACK_MS);
	join(thread);
	set_limit(pair.us, SO_RCVTIMEO, LIMIT_MS);
	start = now_ms();
	step("recv with a limit", recv(pair.us, buffer, 8, 0));
	note_duration("it waited", now_ms() - start, LIMIT_MS, SLACK_MS);
	step("read with a limit", read(pair.us, buffer, 8));
	step("recvmsg with a limit", recvmsg(pair.us, &header, 0));
	thread = later(100, send_abc, pair.them);
	step("recv in time", recv(pair.us, buffer, 8, 0));
	join(thread);
	alarm_in(100, SA_RESTART);
	set_limit(pair.us, SO_RCVTIMEO, 5000);
	step("a limit is not restarted", recv(pair.us, buffer, 8, 0));
	set_limit(pair.us, SO_RCVTIMEO, 0);

	alarm_in(100, 0);
	step("recv, interrupted", recv(pair.us, buffer, 8, 0));
	note("signals %d", (int)signals);
	alarm_in(100, 0);
	step("read, interrupted", read(pair.us, buffer, 8));
	thread = later(LIMIT_MS, send_abc, pair.them);
	alarm_in(100, SA_RESTART);
	step("recv, interrupted and restarted", recv(pair.us, buffer, 8, 0));
	note("signals %d", (int)signals);
	join(thread);

	send_abc(pair.them);
	await_bytes(pair.us, 3);
	alarm_in(100, 0);
	step("WAITALL, interrupted in the middle", recv(pair.us, buffer, 8, MSG_WAITALL));
	close_pair(pair);
}

static void case_receive_ended(void)
{
	static void (*const ends[])(int) = { shut_read, shut_both };
	struct pair pair;
	pthread_t thread;
	char buffer[8];

	for (int i = 0; i < 2; i++) {
		pair = open_pair();
		thread = later(100, ends[i], pair.us);
		step_at("shut down meanwhile", i, recv(pair.us, buffer, 8, 0));
		join(thread);
		close_pair(pair);
	}
	pair = open_pair();
	thread = later(100, close_it, pair.them);
	step("their close", recv(pair.us, buffer, 8, 0));
	join(thread);
	close(pair.us);

	pair = open_pair();
	thread = later(100, reset, pair.them);
	step("their reset", recv(pair.us, buffer, 8, 0));
	step("and again", recv(pair.us, buffer, 8, 0));
	join(thread);
	close(pair.us);

	pair = open_pair();
	thread = later(100, shut_write, pair.them);
	step("their shutdown", recv(pair.us, buffer, 8, 0));
	join(thread);
	close_pair(pair);
}

static void close_us_then_send(int fd)
{
	close(fd);
	settle();
	send_abc(now.them);
}

/* Linux goes on with the call that has begun; the connection ends after it. */
static void case_closed_while_blocked(void)
{
	char buffer[8];
	pthread_t thread;

	now = open_pair();
	thread = later(100, close_us_then_send, now.us);
	step("recv", recv(now.us, buffer, 8, 0));
	join(thread);
	step("recv again", recv(now.us, buffer, 8, 0));
	await(now.them, POLLIN);
	step("they see the end", recv(now.them, buffer, 8, MSG_DONTWAIT));
	close(now.them);
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

	step("accept with a limit", accept(listener, NULL, NULL));
	note_duration("it waited", now_ms() - start, LIMIT_MS, SLACK_MS);
	set_limit(listener, SO_RCVTIMEO, 0);
	alarm_in(100, 0);
	step("accept, interrupted", accept(listener, NULL, NULL));
	alarm_in(100, SA_RESTART);
	thread = later(LIMIT_MS, they_connect, listener);
	fd = accept(listener, NULL, NULL);
	note("accept, restarted: %s", fd >= 0 ? "a descriptor" : errno_name(errno));
	join(thread);
	close(fd);
	close(now.them);
	thread = later(100, shut_read, listener);
	step("accept, shut down", accept(listener, NULL, NULL));
	join(thread);
	step("accept after it", accept(listener, NULL, NULL));
	close(listener);
}

static void case_sleeps(void)
{
	struct pair pair = open_pair();
	struct timespec before, after;
	pthread_t thread = later(1000, send_abc, pair.them);
	char buffer[8];

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	step("recv", recv(pair.us, buffer, 8, 0));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	join(thread);
	note_duration("processor time of a second's wait",
		      (after.tv_sec - before.tv_sec) * 1000 +
			      (after.tv_nsec - before.tv_nsec) / 1000000,
		      0, 300);
	filled = fill(pair.us);
	set_nonblocking(pair.us, false);
	thread = later(1000, drain_it, pair.them);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	step("send", send(pair.us, "x", 1, 0));
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	join(thread);
	note_duration("processor time of a second's wait",
		      (after.tv_sec - before.tv_sec) * 1000 +
			      (after.tv_nsec - before.tv_nsec) / 1000000,
		      0, 300);
	close_pair(pair);
}

/* TCP_USER_TIMEOUT also ends a connection whose peer answers, but takes nothing (tcp(7)). */
static void case_peer_takes_nothing(void)
{
	struct pair pair = open_pair();
	int limit = 1000;
	char byte;
	int64_t start;

	step("TCP_USER_TIMEOUT",
	     setsockopt(pair.us, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof(limit)));
	fill(pair.us);
	start = now_ms();
	await(pair.us, POLLHUP);
	note_duration("it took", now_ms() - start, 0, 4500);
	step("recv", recv(pair.us, &byte, 1, 0));
	step("recv again", recv(pair.us, &byte, 1, 0));
	step("send", send(pair.us, "x", 1, MSG_NOSIGNAL));
	close_pair(pair);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "full", case_full, 0 },
		{ "partial", case_partial, 30 },
		{ "send waits", case_send_waits, 30 },
		{ "send ended", case_send_ended, 20 },
		{ "receive waits", case_receive_waits, 0 },
		{ "receive ended", case_receive_ended, 0 },
		{ "accept waits", case_accept_waits, 0 },
		{ "sleeps", case_sleeps, 0 },
		{ "peer takes nothing", case_peer_takes_nothing, 20 },
		{ "closed while blocked", case_closed_while_blocked, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
