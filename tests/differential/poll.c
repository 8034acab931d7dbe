/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: poll(2), ppoll(2), select(2), pselect(2), alone and with mixed descriptors.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>
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

static void send_x(int fd)
{
	send_all(fd, "x", 1);
}

static void write_x(int fd)
{
	must("write", write(fd, "x", 1));
}

static void close_it(int fd)
{
	close(fd);
}

static void shut_both(int fd)
{
	shutdown(fd, SHUT_RDWR);
}

static void poll_and_show(const char *name, struct pollfd *entries, nfds_t count, int ms)
{
	for (nfds_t i = 0; i < count; i++)
		entries[i].revents = (short)0x5a5a;
	outcome(name, poll(entries, count, ms));
	for (nfds_t i = 0; i < count; i++)
		note("[%lu] %s", (unsigned long)i,
		     poll_bits((uint32_t)(uint16_t)entries[i].revents));
}

static void case_events(void)
{
	static const short wanted[] = { 0,	    POLLIN,	  POLLOUT,    POLLPRI,
					POLLRDHUP,  POLLRDNORM,	  POLLWRNORM, POLLRDBAND,
					POLLWRBAND, (short)0xffff };
	struct connection connection = open_connection();

	for (int state = 0; state < 4; state++) {
		note("state %d", state);
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			struct pollfd entry = { .fd = connection.us, .events = wanted[i] };

			poll(&entry, 1, 0);
			note("%s: %s", poll_bits((uint32_t)(uint16_t)wanted[i]),
			     poll_bits((uint32_t)(uint16_t)entry.revents));
		}
		if (state == 0) {
			send_x(connection.them);
			await(connection.us, POLLIN);
		} else if (state == 1) {
			shutdown(connection.them, SHUT_WR);
			await(connection.us, POLLRDHUP);
		} else if (state == 2) {
			reset(connection.them);
			await(connection.us, POLLERR);
		}
	}
	close(connection.us);
}

static void case_waits(void)
{
	struct connection connection = open_connection();
	struct pollfd entry = { .fd = connection.us, .events = POLLIN };
	int64_t start = now_ms();
	pthread_t thread;

	poll_and_show("nothing comes", &entry, 1, 100);
	note_duration("it waited", now_ms() - start, 99, SLACK_MS);
	thread = later(100, send_x, connection.them);
	start = now_ms();
	poll_and_show("data comes", &entry, 1, 5000);
	note_duration("it waited", now_ms() - start, 50, SLACK_MS);
	join(thread);
	note("drained %zu", drain(connection.us, 1));
	thread = later(100, send_x, connection.them);
	poll_and_show("data comes, no limit", &entry, 1, -1);
	join(thread);
	note("drained %zu", drain(connection.us, 1));
	thread = later(100, shut_both, connection.us);
	poll_and_show("shut down meanwhile", &entry, 1, 5000);
	join(thread);
	close_connection(connection);
	connection = open_connection();
	entry.fd = connection.us;
	thread = later(100, close_it, connection.them);
	poll_and_show("their close", &entry, 1, 5000);
	join(thread);
	close(connection.us);
	connection = open_connection();
	entry.fd = connection.us;
	entry.events = 0;
	thread = later(100, reset, connection.them);
	poll_and_show("their reset, nothing asked for", &entry, 1, 5000);
	join(thread);
	close(connection.us);
}

static void case_sleep_only(void)
{
	int64_t start = now_ms();
	struct timespec limit = { .tv_nsec = 100000000 };
	struct timeval small = { .tv_usec = 100000 };

	outcome("poll of nothing", poll(NULL, 0, 100));
	note_duration("it waited", now_ms() - start, 99, SLACK_MS);
	start = now_ms();
	outcome("ppoll of nothing", ppoll(NULL, 0, &limit, NULL));
	note_duration("it waited", now_ms() - start, 99, SLACK_MS);
	start = now_ms();
	outcome("select of nothing", select(0, NULL, NULL, NULL, &small));
	note_duration("it waited", now_ms() - start, 99, SLACK_MS);
	start = now_ms();
	outcome("pselect of nothing", pselect(0, NULL, NULL, NULL, &limit, NULL));
	note_duration("it waited", now_ms() - start, 99, SLACK_MS);
	outcome("poll at once", poll(NULL, 0, 0));
}

static void case_mixed(void)
{
	struct connection connection = open_connection(), other = open_connection();
	int pipes[2], event = eventfd(0, EFD_CLOEXEC), listener = our_listener(1);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), number;
	struct itimerspec at = { .it_value = { .tv_nsec = 50000000 } };
	struct address address = name_of(listener);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	number = signalfd(-1, &set, SFD_CLOEXEC);
	must("pipe", pipe(pipes));

	struct pollfd entries[] = {
		{ .fd = pipes[0], .events = POLLIN },  { .fd = connection.us, .events = POLLIN },
		{ .fd = event, .events = POLLIN },     { .fd = timer, .events = POLLIN },
		{ .fd = number, .events = POLLIN },    { .fd = listener, .events = POLLIN },
		{ .fd = other.us, .events = POLLOUT }, { .fd = -1, .events = POLLIN },
		{ .fd = pipes[1], .events = POLLIN },
	};
	enum { COUNT = sizeof(entries) / sizeof(entries[0]) };

	poll_and_show("only room to write", entries, COUNT, -1);
	entries[6].events = POLLIN;
	poll_and_show("nothing at all", entries, COUNT, 10);
	pthread_t thread = later(50, write_x, pipes[1]);

	poll_and_show("the pipe", entries, COUNT, 5000);
	join(thread);
	thread = later(50, send_x, connection.them);
	must("read", read(pipes[0], (char[1]){ 0 }, 1));
	poll_and_show("the connection", entries, COUNT, 5000);
	join(thread);
	note("drained %zu", drain(connection.us, 1));
	must("timer", timerfd_settime(timer, 0, &at, NULL));
	poll_and_show("the timer", entries, COUNT, 5000);
	close(timer);
	entries[3].fd = -5;
	raise(SIGUSR1);
	poll_and_show("the signal", entries, COUNT, 5000);
	must("signalfd",
	     read(number, &(struct signalfd_siginfo){ 0 }, sizeof(struct signalfd_siginfo)));
	close(number);
	entries[4].fd = -5;
	must("eventfd", eventfd_write(event, 1));
	poll_and_show("the event", entries, COUNT, 5000);
	must("eventfd", eventfd_read(event, &(eventfd_t){ 0 }));

	int them = them_connect(&address);

	poll_and_show("the listener", entries, COUNT, 5000);
	send_x(connection.them);
	send_x(other.them);
	must("eventfd", eventfd_write(event, 1));
	write_x(pipes[1]);
	await(connection.us, POLLIN);
	await(other.us, POLLIN);
	entries[6].events = POLLIN | POLLOUT;
	poll_and_show("all together", entries, COUNT, -1);
	close(pipes[1]);
	must("read", read(pipes[0], (char[1]){ 0 }, 1));
	entries[8].fd = -1;
	poll_and_show("the pipe's other end closed", entries, COUNT, 0);
	close(pipes[0]);
	close(event);
	close(listener);
	close(them);
	close_connection(connection);
	close_connection(other);
}

static void case_invalid(void)
{
	struct connection connection = open_connection();
	int closed = dup(connection.us);
	struct rlimit limit;

	close(closed);

	struct pollfd entries[] = { { .fd = closed, .events = POLLIN },
				    { .fd = connection.us, .events = POLLIN | POLLOUT },
				    { .fd = -1, .events = POLLIN },
				    { .fd = 1 << 20, .events = POLLIN } };

	poll_and_show("a closed one", entries, 4, 5000);
	entries[1].fd = ~connection.us;
	poll_and_show("only closed ones", entries, 4, 5000);
	outcome("bad pointer", poll(bad_pointer(), 1, 0));
	must("getrlimit", getrlimit(RLIMIT_NOFILE, &limit));
	outcome("too many", poll(entries, limit.rlim_cur + 1, 0));
	outcome("ppoll, bad time",
		ppoll(entries, 1, &(struct timespec){ .tv_nsec = 1000000000 }, NULL));
	outcome("ppoll, negative time",
		ppoll(entries, 1, &(struct timespec){ .tv_sec = -1 }, NULL));
	entries[0].fd = connection.us;
	entries[0].events = POLLOUT;
	outcome("ppoll, good but bad time",
		ppoll(entries, 1, &(struct timespec){ .tv_nsec = -1 }, NULL));
	entries[1] = entries[0];
	entries[2] = entries[0];
	entries[2].events = POLLIN;
	poll_and_show("the same one three times", entries, 3, 1000);
	close_connection(connection);
}

/* No more entries than the program may have descriptors, however few it allows itself. */
static void case_low_limit(void)
{
	struct connection connection = open_connection();
	struct pollfd entries[40];
	struct rlimit before, limit;

	for (int i = 0; i < 40; i++)
		entries[i] = (struct pollfd){ .fd = i ? -1 : connection.us, .events = POLLOUT };
	must("getrlimit", getrlimit(RLIMIT_NOFILE, &before));
	limit = (struct rlimit){ 20, before.rlim_max };
	must("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
	outcome("too many", poll(entries, 40, 0));
	outcome("ppoll, too many", ppoll(entries, 40, &(struct timespec){ 0 }, NULL));
	outcome("one more", poll(entries, 21, 0));
	outcome("as many", poll(entries, 20, 0));
	must("setrlimit", setrlimit(RLIMIT_NOFILE, &before));
	outcome("allowed again", poll(entries, 40, 0));
	close_connection(connection);
}

static void case_high(void)
{
	struct connection connection = open_connection();
	int high = fcntl(connection.us, F_DUPFD_CLOEXEC, 1500);
	struct pollfd entries[] = { { .fd = high, .events = POLLIN | POLLOUT },
				    { .fd = connection.us, .events = POLLIN | POLLOUT } };

	note("high: %s", high >= 1500 ? "yes" : "no");
	poll_and_show("room", entries, 2, 0);
	send_x(connection.them);
	await(connection.us, POLLIN);
	poll_and_show("data", entries, 2, -1);
	close(connection.us);
	entries[1].fd = -1;
	poll_and_show("after closing the first", entries, 2, -1);
	outcome("recv", recv(high, &entries[1].revents, 1, 0));
	close(high);
	close(connection.them);
}

static void case_signals(void)
{
	struct connection connection = open_connection();
	struct pollfd entry = { .fd = connection.us, .events = POLLIN };
	struct timespec limit = { .tv_sec = 5 };
	sigset_t blocked, open_mask;
	fd_set set;

	alarm_in(50, SA_RESTART);
	outcome("poll, interrupted", poll(&entry, 1, 5000));
	note("signals %d", (int)signals);
	alarm_in(50, 0);
	outcome("poll without limit, interrupted", poll(&entry, 1, -1));
	alarm_in(50, SA_RESTART);
	FD_ZERO(&set);
	FD_SET(connection.us, &set);
	outcome("select, interrupted", select(connection.us + 1, &set, NULL, NULL, NULL));
	note("signals %d, the set stays %d", (int)signals, FD_ISSET(connection.us, &set) != 0);

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	sigemptyset(&open_mask);
	alarm_in(50, 0);
	outcome("poll with the signal blocked", poll(&entry, 1, 200));
	note("signals %d", (int)signals);
	outcome("ppoll lets it in", ppoll(&entry, 1, &limit, &open_mask));
	note("signals %d", (int)signals);
	alarm_in(50, 0);
	outcome("ppoll waits for it", ppoll(&entry, 1, &limit, &open_mask));
	note("signals %d", (int)signals);
	alarm_in(50, 0);
	FD_ZERO(&set);
	FD_SET(connection.us, &set);
	outcome("pselect waits for it",
		pselect(connection.us + 1, &set, NULL, NULL, &limit, &open_mask));
	note("signals %d", (int)signals);
	raise(SIGALRM);
	send_x(connection.them);
	await(connection.us, POLLIN);
	signals = 0;
	outcome("ppoll, ready and a signal pending", ppoll(&entry, 1, &limit, &open_mask));
	note("signals %d", (int)signals);
	raise(SIGALRM);
	signals = 0;
	outcome("ppoll at once, none ready",
		ppoll(&(struct pollfd){ .fd = connection.us, .events = POLLPRI }, 1,
		      &(struct timespec){ 0 }, &open_mask));
	note("signals %d", (int)signals);
	pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
	close_connection(connection);
}

static void select_and_show(const char *name, struct connection connection, int pipe_end,
			    struct timeval *limit)
{
	fd_set in, out, except;
	int top = (connection.us > pipe_end ? connection.us : pipe_end) + 1;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(connection.us, &in);
	FD_SET(pipe_end, &in);
	FD_SET(connection.us, &out);
	FD_SET(connection.us, &except);
	outcome(name, select(top, &in, limit ? NULL : &out, &except, limit));
	note("socket in %d, out %d, except %d; pipe in %d", FD_ISSET(connection.us, &in) != 0,
	     !limit && FD_ISSET(connection.us, &out) != 0, FD_ISSET(connection.us, &except) != 0,
	     FD_ISSET(pipe_end, &in) != 0);
}

static void case_select(void)
{
	struct connection connection = open_connection();
	struct timeval limit = { .tv_usec = 50000 };
	int pipes[2];
	fd_set set;
	pthread_t thread;

	must("pipe", pipe(pipes));
	select_and_show("room", connection, pipes[0], NULL);
	select_and_show("nothing comes", connection, pipes[0], &limit);
	note("time left: %s", limit.tv_sec == 0 && limit.tv_usec == 0 ? "none" : "some");
	/* libc takes them for a negative number. */
	limit = (struct timeval){ .tv_usec = LONG_MAX };
	select_and_show("too many microseconds", connection, pipes[0], &limit);
	limit = (struct timeval){ .tv_sec = 5 };
	thread = later(50, send_x, connection.them);
	select_and_show("data comes", connection, pipes[0], &limit);
	note("time left: %s", limit.tv_sec >= 1 && limit.tv_sec < 5 ? "some" : "none or all");
	join(thread);
	write_x(pipes[1]);
	select_and_show("both", connection, pipes[0], &limit);
	note("drained %zu", drain(connection.us, 1));
	select_and_show("the pipe", connection, pipes[0], &limit);
	must("read", read(pipes[0], (char[1]){ 0 }, 1));
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	select_and_show("the end", connection, pipes[0], NULL);
	reset(connection.them);
	await(connection.us, POLLERR);
	select_and_show("reset", connection, pipes[0], NULL);
	FD_ZERO(&set);
	FD_SET(connection.us, &set);
	close(connection.us);
	outcome("closed", select(connection.us + 1, &set, NULL, NULL, &limit));
	outcome("negative count", select(-1, &set, NULL, NULL, &limit));
	limit.tv_sec = -1;
	outcome("negative time", select(0, NULL, NULL, NULL, &limit));
	close(pipes[0]);
	close(pipes[1]);
}

static void case_select_connects(void)
{
	int listener = their_listener(5), fd = open_socket(SOCK_NONBLOCK);
	struct address address = name_of(listener), nobody = their_address(1);
	struct timeval limit = { .tv_sec = 5 };
	fd_set in, out;

	outcome("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	outcome("select", select(fd + 1, &in, &out, NULL, &limit));
	note("in %d, out %d", FD_ISSET(fd, &in) != 0, FD_ISSET(fd, &out) != 0);
	close(fd);
	fd = open_socket(SOCK_NONBLOCK);
	outcome("connect to nobody",
		connect(fd, (struct sockaddr *)&nobody.storage, nobody.length));
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	outcome("select", select(fd + 1, &in, &out, NULL, &limit));
	note("in %d, out %d", FD_ISSET(fd, &in) != 0, FD_ISSET(fd, &out) != 0);
	close(fd);
	close(listener);
}

static void case_fresh(void)
{
	int fd = open_socket(0), listener = our_listener(1);
	struct pollfd entries[] = { { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP },
				    { .fd = listener, .events = POLLIN | POLLOUT | POLLRDHUP } };
	struct address address = our_address(0);

	poll_and_show("fresh and listening", entries, 2, 0);
	must("bind", bind(fd, (struct sockaddr *)&address.storage, address.length));
	poll_and_show("bound and listening", entries, 2, 0);
	close(fd);
	close(listener);
}

static struct connection now;
static int instead;

static void close_then_send(int fd)
{
	close(fd);
	send_all(now.them, "x", 1);
}

static void replace_then_send(int fd)
{
	must("dup2", dup2(instead, fd));
	send_all(now.them, "x", 1);
}

static void wait_by_poll(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	poll_and_show("poll", &entry, 1, 5000);
}

static void wait_by_select(int fd)
{
	struct timeval time = { .tv_sec = 5 };
	fd_set sets[2];

	for (int i = 0; i < 2; i++) {
		FD_ZERO(&sets[i]);
		FD_SET(fd, &sets[i]);
	}
	outcome("select", select(fd + 1, &sets[0], NULL, &sets[1], &time));
	note("readable %d, exceptional %d", FD_ISSET(fd, &sets[0]) != 0,
	     FD_ISSET(fd, &sets[1]) != 0);
}

/* Another thread takes the number away while the call waits for it. */
static void wait_meanwhile(const char *name, void (*action)(int), void (*wait)(int))
{
	pthread_t thread;

	note("%s", name);
	now = open_talking();
	thread = later(20, action, now.us);
	wait(now.us);
	join(thread);
	close(now.us);
	close(now.them);
}

static void case_taken_away(void)
{
	struct connection other = open_talking();

	wait_meanwhile("closed", close_then_send, wait_by_poll);
	wait_meanwhile("closed", close_then_send, wait_by_select);
	must("open", instead = open("/dev/null", O_RDWR | O_CLOEXEC));
	wait_meanwhile("a file instead", replace_then_send, wait_by_poll);
	wait_meanwhile("a file instead", replace_then_send, wait_by_select);
	close(instead);
	instead = other.us;
	send_all(other.them, "x", 1);
	await_bytes(other.us, 1);
	wait_meanwhile("a connection instead", replace_then_send, wait_by_poll);
	wait_meanwhile("a connection instead", replace_then_send, wait_by_select);
	close_connection(other);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "events", case_events, 0 },
		{ "waits", case_waits, 0 },
		{ "sleep only", case_sleep_only, 0 },
		{ "mixed", case_mixed, 0 },
		{ "invalid", case_invalid, 0 },
		{ "low limit", case_low_limit, 0 },
		{ "high", case_high, 0 },
		{ "signals", case_signals, 0 },
		{ "select", case_select, 0 },
		{ "select connects", case_select_connects, 0 },
		{ "fresh", case_fresh, 0 },
		{ "taken away", case_taken_away, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
