/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: urgent data (MSG_OOB), its mark, its signal and its place in the stream. What
 * recv(2) says of urgent data that is not there is in receive.c.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void receive_and_show(const char *name, int fd, size_t length, int flags)
{
	char buffer[64] = { 0 };
	ssize_t n = recv(fd, buffer, length, flags & MSG_WAITALL ? flags : flags | MSG_DONTWAIT);

	outcome(name, n);
	if (n > 0 && !(flags & MSG_TRUNC))
		show(name, buffer, n);
}

/* All that can be asked without reading. */
static void look(const char *name, int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN | POLLPRI };
	int bytes = -1;

	poll(&entry, 1, 0);
	ioctl(fd, FIONREAD, &bytes);
	note("%s: %s, %d bytes, mark %d", name, poll_bits((unsigned short)entry.revents), bytes,
	     sockatmark(fd));
}

static void send_urgently(int fd, const char *text)
{
	outcome("send urgently", send(fd, text, strlen(text), MSG_OOB | MSG_NOSIGNAL));
	settle();
}

static void in_line(int fd)
{
	int on = 1;

	outcome("SO_OOBINLINE", setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)));
}

/* The two directions of each exchange, the reader being ours and then the writer. */
static void both_ways(void (*exchange)(int from, int to))
{
	struct connection connection = open_connection();

	note("we read");
	exchange(connection.them, connection.us);
	close_connection(connection);
	connection = open_connection();
	note("we write");
	exchange(connection.us, connection.them);
	close_connection(connection);
}

static void around(int from, int to)
{
	look("nothing", to);
	send_all(from, "abc", 3);
	send_urgently(from, "X");
	send_all(from, "def", 3);
	settle();
	look("all there", to);
	receive_and_show("peek", to, 64, MSG_PEEK);
	receive_and_show("up to the mark", to, 64, 0);
	look("at the mark", to);
	receive_and_show("look at it", to, 64, MSG_OOB | MSG_PEEK);
	receive_and_show("take it", to, 64, MSG_OOB);
	receive_and_show("take it again", to, 64, MSG_OOB);
	look("taken", to);
	receive_and_show("peek over it", to, 2, MSG_PEEK);
	receive_and_show("the rest", to, 64, 0);
	look("the end", to);
	receive_and_show("past it", to, 64, MSG_OOB);
}

static void case_around(void)
{
	both_ways(around);
}

/* A bit that is no flag of recv(2), though one in the kernel, changes nothing at the mark. */
static void case_unknown_flag(void)
{
	struct connection connection = open_talking();
	const int unknown = 1 << 19;

	send_all(connection.them, "abc", 3);
	send_urgently(connection.them, "X");
	send_all(connection.them, "def", 3);
	settle();
	receive_and_show("up to the mark", connection.us, 64, unknown);
	look("at the mark", connection.us);
	receive_and_show("peek over it", connection.us, 64, unknown | MSG_PEEK);
	receive_and_show("over it", connection.us, 64, unknown);
	close_connection(connection);
}

static void left_out(int from, int to)
{
	send_all(from, "abc", 3);
	send_urgently(from, "X");
	send_all(from, "def", 3);
	settle();
	receive_and_show("before", to, 64, 0);
	receive_and_show("behind", to, 64, 0);
	receive_and_show("too late", to, 64, MSG_OOB);
}

static void case_left_out(void)
{
	both_ways(left_out);
}

static void alone(int from, int to)
{
	send_urgently(from, "X");
	look("alone", to);
	receive_and_show("nothing to peek", to, 64, MSG_PEEK);
	look("still there", to);
	receive_and_show("no bytes asked for", to, 0, 0);
	look("still", to);
	receive_and_show("nothing to read", to, 64, 0);
	look("gone", to);
	receive_and_show("it is", to, 64, MSG_OOB);
	send_all(from, "abc", 3);
	settle();
	receive_and_show("the stream goes on", to, 64, 0);
}

static void case_alone(void)
{
	both_ways(alone);
}

static void inside(int from, int to)
{
	in_line(to);
	send_all(from, "abc", 3);
	send_urgently(from, "X");
	send_all(from, "def", 3);
	settle();
	look("in line", to);
	receive_and_show("not out of band", to, 64, MSG_OOB);
	receive_and_show("up to the mark", to, 64, 0);
	look("at the mark", to);
	receive_and_show("with it", to, 64, 0);
	look("behind it", to);
}

static void case_in_line(void)
{
	both_ways(inside);
}

static void several(int from, int to)
{
	send_urgently(from, "abcX");
	look("the last of four", to);
	send_urgently(from, "deY");
	look("another", to);
	receive_and_show("the later one", to, 64, MSG_OOB);
	receive_and_show("the earlier one is data", to, 64, 0);
	send_urgently(from, "Z");
	look("a third at the mark", to);
	receive_and_show("it", to, 64, MSG_OOB);
	send_urgently(from, "W");
	look("a fourth behind it", to);
	receive_and_show("it", to, 64, MSG_OOB);
	receive_and_show("no data", to, 64, 0);
	send_all(from, "end", 3);
	settle();
	receive_and_show("the rest", to, 64, 0);
}

static void case_several(void)
{
	both_ways(several);
}

static void wait_for_all(int from, int to)
{
	char buffer[8] = { 0 };
	ssize_t n;

	send_all(from, "abc", 3);
	send_urgently(from, "X");
	send_all(from, "def", 3);
	settle();
	n = recv(to, buffer, 6, MSG_PEEK | MSG_WAITALL);
	outcome("peek at six", n);
	n = recv(to, buffer, 6, MSG_WAITALL);
	outcome("six", n);
	show("six", buffer, n);
	n = recv(to, buffer, 3, MSG_WAITALL);
	outcome("three", n);
	show("three", buffer, n);
}

static void case_wait_all(void)
{
	both_ways(wait_for_all);
}

static void send_urgent_x(int fd)
{
	send(fd, "X", 1, MSG_OOB | MSG_NOSIGNAL);
}

static void send_urgent_cdx(int fd)
{
	send(fd, "cdX", 3, MSG_OOB | MSG_NOSIGNAL);
}

/* The mark comes while the call waits for more than it has: it ends there. */
static void wait_across(int from, int to)
{
	static void (*const marks[])(int) = { send_urgent_x, send_urgent_cdx };

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		pthread_t thread;

		send_all(from, "ab", 2);
		await_bytes(to, 2);
		thread = later(100, marks[i], from);
		receive_and_show("up to the mark", to, 10, MSG_WAITALL);
		join(thread);
		send_all(from, "ef", 2);
		settle();
		look("at the mark", to);
		receive_and_show("the rest", to, 10, MSG_DONTWAIT);
	}
}

static void wait_across_in_line(int from, int to)
{
	in_line(to);
	wait_across(from, to);
}

static void case_wait_across(void)
{
	both_ways(wait_across);
	both_ways(wait_across_in_line);
}

static void send_ghi(int fd)
{
	send_all(fd, "ghi", 3);
}

/* A peek that stands before the urgent byte steps over it, and waits for as much behind it. */
static void peek_over(int from, int to)
{
	char buffer[8] = { 0 };
	pthread_t thread;
	ssize_t n;

	send_urgently(from, "X");
	send_all(from, "def", 3);
	settle();
	thread = later(300, send_ghi, from);
	n = recv(to, buffer, 6, MSG_PEEK | MSG_WAITALL);
	outcome("peek at six", n);
	show("six", buffer, n);
	join(thread);
	receive_and_show("them", to, 6, MSG_WAITALL);
}

static int64_t processor_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void case_peek_over(void)
{
	int64_t start = processor_ms();

	both_ways(peek_over);
	note_duration("processor time of two waits", processor_ms() - start, 0, 150);
}

static void at_the_end(int from, int to)
{
	send_all(from, "abc", 3);
	send_urgently(from, "X");
	shutdown(from, SHUT_WR);
	settle();
	look("ended", to);
	receive_and_show("data", to, 64, 0);
	receive_and_show("urgent", to, 64, MSG_OOB);
	receive_and_show("the end", to, 64, 0);
	receive_and_show("after the end", to, 64, MSG_OOB);
	look("after the end", to);
}

static void case_end(void)
{
	both_ways(at_the_end);
}

static void case_arguments(void)
{
	struct connection connection = open_connection();
	char byte = 0;
	struct iovec iov[] = { { bad_pointer(), 0 }, { &byte, 1 } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	outcome("none sent", send(connection.us, "", 0, MSG_OOB));
	send_urgently(connection.them, "X");
	outcome("recvmsg", recvmsg(connection.us, &message, MSG_OOB));
	note("'%c', flags %s", byte, message.msg_flags == MSG_OOB ? "MSG_OOB" : "others");
	send_urgently(connection.them, "Y");
	outcome("bad pointer", recv(connection.us, bad_pointer(), 1, MSG_OOB));
	receive_and_show("it is lost", connection.us, 1, MSG_OOB);
	send_urgently(connection.them, "Z");
	outcome("no bytes", recv(connection.us, &byte, 0, MSG_OOB));
	close(connection.them);
	settle();
	receive_and_show("closed", connection.us, 64, 0);
	close(connection.us);
}

static void case_select(void)
{
	struct connection connection = open_connection();
	struct timeval none = { 0 };
	fd_set readable, exceptional;

	send_urgently(connection.them, "X");
	FD_ZERO(&readable);
	FD_SET(connection.us, &readable);
	exceptional = readable;
	outcome("select", select(connection.us + 1, &readable, NULL, &exceptional, &none));
	note("readable %d, exceptional %d", FD_ISSET(connection.us, &readable) != 0,
	     FD_ISSET(connection.us, &exceptional) != 0);
	close_connection(connection);
}

static void wait_once(const char *name, int epoll)
{
	struct epoll_event event = { 0 };

	outcome(name, epoll_wait(epoll, &event, 1, 50));
	note("%s: %s", name, poll_bits(event.events));
}

static void case_epoll(void)
{
	static const uint32_t forms[] = { EPOLLPRI, EPOLLPRI | EPOLLET,
					  EPOLLIN | EPOLLPRI | EPOLLET };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct connection connection = open_connection();
		int epoll = epoll_create1(0);
		struct epoll_event event = { .events = forms[i] };

		note("form %zu", i);
		must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, connection.us, &event));
		wait_once("nothing", epoll);
		send_urgently(connection.them, "X");
		wait_once("there", epoll);
		wait_once("again", epoll);
		send_all(connection.them, "abc", 3);
		settle();
		wait_once("data behind it", epoll);
		receive_and_show("taken", connection.us, 1, MSG_OOB);
		wait_once("no more", epoll);
		send_urgently(connection.them, "Y");
		wait_once("another", epoll);
		close(epoll);
		close_connection(connection);
	}
}

static void send_x(int fd)
{
	send(fd, "X", 1, MSG_OOB);
}

/* Waits for the byte, for its exception alone. */
static void case_waiting(void)
{
	struct connection connection = open_connection();
	pthread_t thread = later(100, send_x, connection.them);
	struct pollfd entry = { .fd = connection.us, .events = POLLPRI };

	outcome("poll", poll(&entry, 1, 5000));
	note("%s", poll_bits((unsigned short)entry.revents));
	join(thread);
	receive_and_show("it", connection.us, 1, MSG_OOB);
	close_connection(connection);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
	(void)number;
	signals++;
}

static void case_signal(void)
{
	struct connection connection = open_connection();
	struct sigaction action = { .sa_handler = count_signal }, before;

	sigaction(SIGURG, &action, &before);
	send_urgently(connection.them, "X");
	note("nobody's: %d signals", (int)signals);
	outcome("F_SETOWN", fcntl(connection.us, F_SETOWN, getpid()));
	send_urgently(connection.them, "Y");
	note("ours: %d signals", (int)signals);
	send_all(connection.them, "abc", 3);
	settle();
	note("data: %d signals", (int)signals);
	outcome("F_SETOWN", fcntl(connection.us, F_SETOWN, 0));
	send_urgently(connection.them, "Z");
	note("given up: %d signals", (int)signals);
	sigaction(SIGURG, &before, NULL);
	signals = 0;
	close_connection(connection);
}

/* Not more than one call's, nor what an earlier one has left in the pipe. */
static void splice_and_show(const char *name, int fd, unsigned flags)
{
	char buffer[64] = { 0 };
	int ends[2];
	ssize_t n;

	must("pipe", pipe(ends));
	n = splice(fd, NULL, ends[1], NULL, sizeof(buffer), flags);
	outcome(name, n);
	if (n > 0)
		show(name, buffer, read(ends[0], buffer, sizeof(buffer)));
	close(ends[0]);
	close(ends[1]);
}

/* A splice ends at the mark, and does not step over it: somebody has to read. */
static void spliced(int from, int to)
{
	send_all(from, "abc", 3);
	send_urgently(from, "X");
	send_all(from, "def", 3);
	settle();
	splice_and_show("up to the mark", to, 0);
	look("at the mark", to);
	splice_and_show("at the mark", to, 0);
	splice_and_show("pipe that does not block", to, SPLICE_F_NONBLOCK);
	set_nonblocking(to, true);
	splice_and_show("socket that does not block", to, 0);
	set_nonblocking(to, false);
	receive_and_show("take it", to, 64, MSG_OOB);
	splice_and_show("taken", to, 0);
	look("still at the mark", to);
	in_line(to);
	splice_and_show("in line", to, 0);
	receive_and_show("read", to, 1, 0);
	splice_and_show("behind it", to, 0);
}

static void case_splice(void)
{
	both_ways(spliced);
}

/* The byte comes while a splice waits: there is something now, and not for the splice. */
static void case_splice_waiting(void)
{
	struct connection connection = open_connection();
	pthread_t thread = later(100, send_x, connection.them);

	splice_and_show("alone", connection.us, 0);
	join(thread);
	receive_and_show("it", connection.us, 1, MSG_OOB);
	close_connection(connection);
}

/* Only the kernel answers this: in host mode the connection goes back for it. */
static void ask_kernel(int fd)
{
	char text[256];
	socklen_t length = sizeof(text);

	must("TCP_CC_INFO", getsockopt(fd, IPPROTO_TCP, TCP_CC_INFO, text, &length));
}

static void go_on(int from, int to)
{
	look("given back", to);
	receive_and_show("look at it", to, 64, MSG_OOB | MSG_PEEK);
	receive_and_show("data", to, 64, 0);
	look("further on", to);
	receive_and_show("take it", to, 64, MSG_OOB);
	receive_and_show("more data", to, 64, 0);
	look("the end", to);
	send_all(from, "ghi", 3);
	settle();
	receive_and_show("the stream goes on", to, 64, 0);
	note("%d signals", (int)signals);
	signals = 0;
}

/* What is before the mark and behind it, and what was read when the connection goes back. */
static const struct {
	const char *before, *behind;
	bool in_line, taken, at_mark;
} given[] = {
	{ "abc", "def", false, false, false }, { "abc", "def", false, true, false },
	{ "abc", "def", false, false, true },  { "abc", "def", false, true, true },
	{ "abc", "", false, false, false },    { "", "def", false, true, false },
	{ "", "", false, false, false },       { "abc", "def", true, false, false },
	{ "abc", "def", true, false, true },   { "", "", false, true, false },
};

/* Its signal has come by then: there is no other. */
static void case_given_back(void)
{
	struct sigaction action = { .sa_handler = count_signal }, before;

	sigaction(SIGURG, &action, &before);
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		struct connection connection = open_talking();

		note("- %zu", i);
		must("F_SETOWN", fcntl(connection.us, F_SETOWN, getpid()));
		if (given[i].in_line)
			in_line(connection.us);
		send_all(connection.them, given[i].before, strlen(given[i].before));
		send_urgently(connection.them, "X");
		send_all(connection.them, given[i].behind, strlen(given[i].behind));
		settle();
		if (given[i].at_mark)
			receive_and_show("up to the mark", connection.us, 64, 0);
		if (given[i].taken)
			receive_and_show("taken", connection.us, 1, MSG_OOB);
		ask_kernel(connection.us);
		go_on(connection.them, connection.us);
		note("owner %d", fcntl(connection.us, F_GETOWN) == getpid());
		close_connection(connection);
	}
	sigaction(SIGURG, &before, NULL);
}

/* In host mode the connection is borrowed while data is unread, and the mark comes afterwards. */
static void case_behind_unread(void)
{
	struct connection connection = open_talking();

	ask_kernel(connection.us);
	send_all(connection.them, "abc", 3);
	settle();
	for (int i = 0; i < 3; i++) {
		send_all(connection.us, "x", 1);
		drain(connection.them, 1);
		settle();
	}
	send_urgently(connection.them, "deX");
	send_all(connection.them, "fgh", 3);
	settle();
	look("all there", connection.us);
	receive_and_show("look at it", connection.us, 64, MSG_OOB | MSG_PEEK);
	receive_and_show("up to the mark", connection.us, 64, 0);
	look("at the mark", connection.us);
	receive_and_show("take it", connection.us, 64, MSG_OOB);
	receive_and_show("the rest", connection.us, 64, 0);
	close_connection(connection);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "around", case_around, 0 },
		{ "unknown flag", case_unknown_flag, 0 },
		{ "left out", case_left_out, 0 },
		{ "alone", case_alone, 0 },
		{ "in line", case_in_line, 0 },
		{ "several", case_several, 0 },
		{ "wait all", case_wait_all, 0 },
		{ "wait across", case_wait_across, 0 },
		{ "end", case_end, 0 },
		{ "arguments", case_arguments, 0 },
		{ "select", case_select, 0 },
		{ "epoll", case_epoll, 0 },
		{ "waiting", case_waiting, 0 },
		{ "signal", case_signal, 0 },
		{ "peek over", case_peek_over, 0 },
		{ "splice", case_splice, 0 },
		{ "splice waiting", case_splice_waiting, 0 },
		{ "given back", case_given_back, 0 },
		{ "behind unread data", case_behind_unread, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
