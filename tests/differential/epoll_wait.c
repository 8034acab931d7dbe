/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: waiting in epoll: limits, signals, several waiters, fairness. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SLACK_MS 3000

static volatile sig_atomic_t signals;

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

static void add(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void send_x(int fd)
{
	send_all(fd, "x", 1);
}

static void close_it(int fd)
{
	close(fd);
}

/* In which order: up, down, and with a socket that was ready already. */
static void case_order(void)
{
	enum { SOCKETS = 8 };
	struct connection connections[SOCKETS];
	struct epoll_event events[SOCKETS];
	int epoll = epoll_create1(0);

	for (int i = 0; i < SOCKETS; i++) {
		connections[i] = open_connection();
		add(epoll, connections[i].us, EPOLLIN, (uint64_t)i);
	}
	for (int round = 0; round < 4; round++) {
		char order[SOCKETS + 1] = "";
		int n;

		for (int i = 0; i < SOCKETS; i++) {
			send_x(connections[round & 1 ? SOCKETS - 1 - i : i].them);
			pause_ms(2);
		}
		settle();
		n = epoll_wait(epoll, events, SOCKETS, 0);
		for (int i = 0; i < n; i++)
			order[i] = (char)('a' + events[i].data.u64);
		note("%d: %s", n, order);
		/* From the third round on the first two are left as they are. */
		for (int i = round < 2 ? 0 : 2; i < SOCKETS; i++)
			drain(connections[i].us, 1);
		n = epoll_wait(epoll, events, SOCKETS, 0);
		note("still ready: %d", n);
	}
	for (int i = 0; i < SOCKETS; i++)
		close_connection(connections[i]);
	close(epoll);
}

/* Sockets, a pipe, and an inner instance that holds a bit of both, all ready all the time. */
static void case_names_once(void)
{
	enum { SOCKETS = 5, ALL = SOCKETS + 3 };
	struct connection connections[SOCKETS], inner_connection = open_connection();
	struct epoll_event events[4 * ALL];
	int epoll = epoll_create1(0), inner = epoll_create1(0), pipes[2], twice = 0, few = 0;

	must("pipe", pipe(pipes));
	must("write", write(pipes[1], "x", 1));
	for (int i = 0; i < SOCKETS; i++) {
		connections[i] = open_connection();
		add(epoll, connections[i].us, EPOLLIN, (uint64_t)i);
		send_x(connections[i].them);
	}
	send_x(inner_connection.them);
	add(inner, pipes[0], EPOLLIN, 0);
	add(inner, inner_connection.us, EPOLLIN, 1);
	add(epoll, inner, EPOLLIN, SOCKETS);
	add(epoll, pipes[0], EPOLLIN, SOCKETS + 1);
	add(epoll, inner_connection.us, EPOLLIN, SOCKETS + 2);
	settle();
	for (int call = 0; call < 200; call++) {
		unsigned named = 0;
		int n = epoll_wait(epoll, events, 4 * ALL, 1000);

		for (int i = 0; i < n; i++) {
			twice += (named >> events[i].data.u64) & 1;
			named |= 1u << events[i].data.u64;
		}
		few += n < SOCKETS;
	}
	note("named twice: %d, too few: %d", twice, few);
	for (int i = 0; i < SOCKETS; i++)
		close_connection(connections[i]);
	close_connection(inner_connection);
	close(pipes[0]);
	close(pipes[1]);
	close(inner);
	close(epoll);
}

static void case_limits(void)
{
	struct connection connection = open_connection();
	int epoll = epoll_create1(0);
	struct epoll_event event;
	struct timespec limit = { .tv_nsec = 100000000 };
	pthread_t thread;
	int64_t start;

	add(epoll, connection.us, EPOLLIN, 1);
	outcome("at once", epoll_wait(epoll, &event, 1, 0));
	start = now_ms();
	outcome("100 ms", epoll_wait(epoll, &event, 1, 100));
	note_duration("it waited", now_ms() - start, 99, SLACK_MS);
	start = now_ms();
	outcome("pwait", epoll_pwait(epoll, &event, 1, 100, NULL));
	note_duration("it waited", now_ms() - start, 99, SLACK_MS);
	start = now_ms();
	outcome("pwait2", epoll_pwait2(epoll, &event, 1, &limit, NULL));
	note_duration("it waited", now_ms() - start, 99, SLACK_MS);
	limit.tv_nsec = 1;
	outcome("pwait2, 1 ns", epoll_pwait2(epoll, &event, 1, &limit, NULL));
	limit.tv_nsec = 1000000000;
	outcome("pwait2, bad time", epoll_pwait2(epoll, &event, 1, &limit, NULL));
	limit = (struct timespec){ .tv_sec = -1 };
	outcome("pwait2, negative time", epoll_pwait2(epoll, &event, 1, &limit, NULL));
	thread = later(100, send_x, connection.them);
	start = now_ms();
	outcome("no limit", epoll_wait(epoll, &event, 1, -1));
	note_duration("it waited", now_ms() - start, 50, SLACK_MS);
	join(thread);
	note("drained %zu", drain(connection.us, 1));
	thread = later(100, send_x, connection.them);
	outcome("no limit, -7", epoll_wait(epoll, &event, 1, -7));
	join(thread);
	note("drained %zu", drain(connection.us, 1));
	thread = later(100, send_x, connection.them);
	outcome("pwait2, no limit", epoll_pwait2(epoll, &event, 1, NULL, NULL));
	join(thread);
	note("drained %zu", drain(connection.us, 1));
	thread = later(100, close_it, connection.them);
	outcome("their close", epoll_wait(epoll, &event, 1, 5000));
	note("%s", poll_bits(event.events));
	join(thread);
	close(epoll);
	close(connection.us);
	epoll = epoll_create1(0);
	start = now_ms();
	outcome("of nothing", epoll_wait(epoll, &event, 1, 100));
	note_duration("it waited", now_ms() - start, 99, SLACK_MS);
	close(epoll);
}

static void case_signals(void)
{
	struct connection connection = open_connection();
	int epoll = epoll_create1(0);
	struct epoll_event event;
	struct timespec limit = { .tv_sec = 5 };
	sigset_t blocked, none;

	add(epoll, connection.us, EPOLLIN, 1);
	alarm_in(50, SA_RESTART);
	outcome("interrupted", epoll_wait(epoll, &event, 1, 5000));
	note("signals %d", (int)signals);
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGALRM);
	alarm_in(50, 0);
	outcome("pwait, blocked there", epoll_pwait(epoll, &event, 1, 200, &blocked));
	note("signals %d", (int)signals);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	alarm_in(50, 0);
	outcome("wait, blocked", epoll_wait(epoll, &event, 1, 200));
	note("signals %d", (int)signals);
	outcome("pwait lets it in", epoll_pwait(epoll, &event, 1, 5000, &none));
	note("signals %d", (int)signals);
	alarm_in(50, 0);
	outcome("pwait waits for it", epoll_pwait(epoll, &event, 1, 5000, &none));
	note("signals %d", (int)signals);
	alarm_in(50, 0);
	outcome("pwait2 waits for it", epoll_pwait2(epoll, &event, 1, &limit, &none));
	note("signals %d", (int)signals);
	raise(SIGALRM);
	send_x(connection.them);
	await(connection.us, POLLIN);
	signals = 0;
	outcome("ready and a signal pending", epoll_pwait(epoll, &event, 1, 5000, &none));
	note("signals %d", (int)signals);
	outcome("recv", recv(connection.us, &(char){ 0 }, 1, 0));
	signals = 0;
	raise(SIGALRM);
	outcome("a look and a signal pending", epoll_pwait(epoll, &event, 1, 0, &none));
	note("signals %d", (int)signals);
	pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
	close(epoll);
	close_connection(connection);
}

#define CROWD 3

static void case_fair(void)
{
	struct connection connections[CROWD];
	int epoll = epoll_create1(0), pipes[2];
	unsigned seen[CROWD + 1] = { 0 };
	struct epoll_event event;

	must("pipe", pipe(pipes));
	must("write", write(pipes[1], "x", 1));
	for (int i = 0; i < CROWD; i++) {
		connections[i] = open_connection();
		add(epoll, connections[i].us, EPOLLIN, (uint64_t)i);
		send_x(connections[i].them);
		await(connections[i].us, POLLIN);
	}
	add(epoll, pipes[0], EPOLLIN, CROWD);
	for (int round = 1; round <= 10; round++) {
		for (int i = 0; i < CROWD + 1; i++) {
			if (epoll_wait(epoll, &event, 1, 1000) == 1)
				seen[event.data.u64]++;
		}
	}
	/* Linux gives each in turn; anybody who starves shows as 0. */
	for (int i = 0; i < CROWD + 1; i++)
		note("%d %s", i, seen[i] >= 5 ? "fairly often" : "too seldom");
	for (int i = 0; i < CROWD; i++)
		close_connection(connections[i]);
	close(pipes[0]);
	close(pipes[1]);
	close(epoll);
}

static int shared_epoll;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int woken, timed_out;

static void wait_and_count(int ms)
{
	struct epoll_event event;
	int n = epoll_wait(shared_epoll, &event, 1, ms);

	pthread_mutex_lock(&lock);
	if (n == 1)
		woken++;
	else
		timed_out++;
	pthread_mutex_unlock(&lock);
}

static void wait_together(const char *name, uint32_t events)
{
	struct connection connection = open_connection();
	pthread_t threads[CROWD];

	shared_epoll = epoll_create1(0);
	add(shared_epoll, connection.us, events, 1);
	woken = timed_out = 0;
	for (int i = 0; i < CROWD; i++)
		threads[i] = later(0, wait_and_count, 1000);
	pause_ms(200);
	send_x(connection.them);
	for (int i = 0; i < CROWD; i++)
		join(threads[i]);
	note("%s: woken %d, timed out %d", name, woken, timed_out);
	close(shared_epoll);
	close_connection(connection);
}

static void case_several_waiters(void)
{
	wait_together("level-triggered", EPOLLIN);
	wait_together("edge-triggered", EPOLLIN | EPOLLET);
	wait_together("one-shot", EPOLLIN | EPOLLONESHOT);
}

static void case_exclusive(void)
{
	struct connection connection = open_connection();
	int first = epoll_create1(0), second = epoll_create1(0);
	struct epoll_event event;

	add(first, connection.us, EPOLLIN | EPOLLEXCLUSIVE, 1);
	add(second, connection.us, EPOLLIN | EPOLLEXCLUSIVE, 2);
	send_x(connection.them);
	await(connection.us, POLLIN);

	int got = epoll_wait(first, &event, 1, 0) + epoll_wait(second, &event, 1, 0);

	note("at least one: %s", got >= 1 ? "yes" : "no");
	close(first);
	close(second);
	close_connection(connection);
}

static struct connection added;

static void add_meanwhile(int epoll)
{
	add(epoll, added.us, EPOLLIN, 9);
}

static void modify_meanwhile(int epoll)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.u64 = 10 };

	must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_MOD, added.us, &event));
}

static void shut_meanwhile(int fd)
{
	shutdown(fd, SHUT_RDWR);
}

static void case_changed_while_waiting(void)
{
	struct epoll_event event;
	int epoll = epoll_create1(0);
	pthread_t thread;

	added = open_connection();
	send_x(added.them);
	await(added.us, POLLIN);
	thread = later(100, add_meanwhile, epoll);
	outcome("added", epoll_wait(epoll, &event, 1, 5000));
	note("%d: %s", (int)event.data.u64, poll_bits(event.events));
	join(thread);
	note("drained %zu", drain(added.us, 1));
	thread = later(100, modify_meanwhile, epoll);
	outcome("modified", epoll_wait(epoll, &event, 1, 5000));
	note("%d: %s", (int)event.data.u64, poll_bits(event.events));
	join(thread);
	event.events = EPOLLIN;
	must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_MOD, added.us, &event));
	thread = later(100, shut_meanwhile, added.us);
	outcome("shut down", epoll_wait(epoll, &event, 1, 5000));
	note("%s", poll_bits(event.events));
	join(thread);
	must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_DEL, added.us, NULL));
	close_connection(added);

	added = open_connection();
	add(epoll, added.us, EPOLLIN, 11);
	thread = later(100, close_it, added.us);
	outcome("closed", epoll_wait(epoll, &event, 1, 300));
	join(thread);
	close(added.them);
	close(epoll);
}

static void case_sleeps(void)
{
	struct connection connection = open_connection();
	struct timespec before, after;
	struct epoll_event event;
	int epoll = epoll_create1(0);
	pthread_t thread = later(1000, send_x, connection.them);

	add(epoll, connection.us, EPOLLIN, 1);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	outcome("wait", epoll_wait(epoll, &event, 1, -1));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	join(thread);
	note_duration("processor time of a second's wait",
		      (after.tv_sec - before.tv_sec) * 1000 +
			      (after.tv_nsec - before.tv_nsec) / 1000000,
		      0, 300);
	close(epoll);
	close_connection(connection);
}

static void case_echo_server(void)
{
	enum { CLIENTS = 20, ROUNDS = 20 };
	struct connection connections[CLIENTS];
	int epoll = epoll_create1(0), echoed = 0, good = 0;
	struct epoll_event events[8];

	for (int i = 0; i < CLIENTS; i++) {
		connections[i] = open_connection();
		add(epoll, connections[i].us, EPOLLIN | EPOLLET, (uint64_t)i);
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CLIENTS; i++)
			send_all(connections[i].them, &(char){ (char)(i + round) }, 1);
		for (int left = CLIENTS; left > 0;) {
			int n = epoll_wait(epoll, events, 8, 5000);

			if (n <= 0) {
				note("round %d: %d are missing", round, left);
				break;
			}
			for (int i = 0; i < n; i++) {
				char byte;
				int fd = connections[events[i].data.u64].us;

				if (recv(fd, &byte, 1, MSG_DONTWAIT) != 1)
					continue;
				left--;
				echoed++;
				send_all(fd, &byte, 1);
			}
		}
		for (int i = 0; i < CLIENTS; i++) {
			char byte;

			if (recv(connections[i].them, &byte, 1, 0) == 1 &&
			    byte == (char)(i + round))
				good++;
		}
	}
	note("echoed %d, good %d", echoed, good);
	for (int i = 0; i < CLIENTS; i++)
		close_connection(connections[i]);
	close(epoll);
}

static void case_many(void)
{
	enum { CROWDED = 300 };
	struct connection connections[CROWDED];
	struct epoll_event events[64];
	int epoll = epoll_create1(0), seen = 0, n;

	for (int i = 0; i < CROWDED; i++) {
		connections[i] = open_connection();
		add(epoll, connections[i].us, EPOLLIN | EPOLLET, (uint64_t)i);
	}
	for (int i = 0; i < CROWDED; i++)
		send_x(connections[i].them);
	while (seen < CROWDED && (n = epoll_wait(epoll, events, 64, 5000)) > 0)
		seen += n;
	note("seen %d", seen);
	outcome("no more", epoll_wait(epoll, events, 64, 0));
	for (int i = 0; i < CROWDED; i++)
		close_connection(connections[i]);
	close(epoll);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "limits", case_limits, 0 },
		{ "order", case_order, 0 },
		{ "names once", case_names_once, 0 },
		{ "signals", case_signals, 0 },
		{ "fair", case_fair, 0 },
		{ "several waiters", case_several_waiters, 0 },
		{ "exclusive", case_exclusive, 0 },
		{ "changed while waiting", case_changed_while_waiting, 0 },
		{ "sleeps", case_sleeps, 0 },
		{ "many", case_many, 30 },
		{ "echo server", case_echo_server, 30 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
