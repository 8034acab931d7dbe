/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: send(2), its flags and its siblings on a connection. Not for full buffers. */
#include "harness.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile sig_atomic_t signals, other_senders;

/* What iovecs point to; they know no const. */
static char byte_x[] = "x", ab[] = "ab", abc[] = "abc", cde[] = "cde", def[] = "def";

static void count_signal(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	signals++;
	other_senders += info->si_code != SI_USER || info->si_pid != getpid();
}

/* SIGPIPE says that the process has sent it to itself. */
static void count_signals(void)
{
	struct sigaction action = { .sa_sigaction = count_signal, .sa_flags = SA_SIGINFO };

	sigaction(SIGPIPE, &action, NULL);
}

static void outcome_and_signals(const char *name, long result)
{
	outcome(name, result);
	if (signals)
		note("SIGPIPE %d, by others %d", (int)signals, (int)other_senders);
	signals = other_senders = 0;
}

static void they_get(int fd, int bytes)
{
	char buffer[64] = { 0 };

	await_bytes(fd, bytes);
	show("they get", buffer, recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT));
}

static void send_every_way(int fd)
{
	struct iovec iov = { byte_x, 1 };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

	outcome_and_signals("send", send(fd, "x", 1, 0));
	outcome_and_signals("send again", send(fd, "x", 1, 0));
	outcome_and_signals("send, NOSIGNAL", send(fd, "x", 1, MSG_NOSIGNAL));
	outcome_and_signals("send, DONTWAIT", send(fd, "x", 1, MSG_DONTWAIT));
	outcome_and_signals("write", write(fd, "x", 1));
	outcome_and_signals("writev", writev(fd, &iov, 1));
	outcome_and_signals("sendto", sendto(fd, "x", 1, 0, NULL, 0));
	outcome_and_signals("sendmsg", sendmsg(fd, &header, 0));
	outcome_and_signals("sendmsg, NOSIGNAL", sendmsg(fd, &header, MSG_NOSIGNAL));
	outcome_and_signals("send 0", send(fd, "x", 0, 0));
	outcome_and_signals("write 0", write(fd, "x", 0));
	outcome_and_signals("writev 0", writev(fd, &iov, 0));
}

static void case_broken_pipe(void)
{
	struct connection connection;
	sigset_t set, old, pending;

	count_signals();
	connection = open_connection();
	note("after shutdown for writing");
	shutdown(connection.us, SHUT_WR);
	send_every_way(connection.us);
	close_connection(connection);

	note("after a reset");
	connection = open_connection();
	reset(connection.them);
	await(connection.us, POLLERR);
	send_every_way(connection.us);
	close(connection.us);

	note("after the peer's close");
	connection = open_connection();
	close(connection.them);
	await(connection.us, POLLRDHUP | POLLIN);
	outcome_and_signals("the first is taken", send(connection.us, "x", 1, 0));
	await(connection.us, POLLHUP);
	send_every_way(connection.us);
	close(connection.us);

	note("with the signal ignored");
	signal(SIGPIPE, SIG_IGN);
	connection = open_connection();
	shutdown(connection.us, SHUT_WR);
	outcome("send", send(connection.us, "x", 1, 0));

	note("with the signal blocked");
	count_signals();
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	outcome("send, NOSIGNAL", send(connection.us, "x", 1, MSG_NOSIGNAL));
	sigpending(&pending);
	note("pending %d", sigismember(&pending, SIGPIPE));
	outcome("send", send(connection.us, "x", 1, 0));
	sigpending(&pending);
	note("pending %d", sigismember(&pending, SIGPIPE));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	note("signals %d", (int)signals);
	signals = 0;
	close_connection(connection);
}

static void case_not_connected(void)
{
	int fd = open_socket(0);

	count_signals();
	note("fresh");
	send_every_way(fd);
	close(fd);
	note("listener");
	fd = our_listener(1);
	send_every_way(fd);
	close(fd);
	outcome("closed", send(fd, "x", 1, 0));
	outcome("closed, write", write(fd, "x", 1));
}

static void case_plain(void)
{
	struct connection connection = open_connection();
	struct iovec iov[] = { { NULL, 0 }, { ab, 2 }, { NULL, 0 }, { cde, 3 }, { ab, 0 } };
	struct msghdr header = { .msg_iov = iov, .msg_iovlen = 5 };
	volatile int minus_one = -1; /* the compiler warns of the constant */

	outcome("send", send(connection.us, "hello", 5, 0));
	they_get(connection.them, 5);
	outcome("send, FASTOPEN", send(connection.us, "hello", 5, MSG_FASTOPEN));
	outcome("write", write(connection.us, "hello", 5));
	they_get(connection.them, 5);
	outcome("writev with empty parts", writev(connection.us, iov, 5));
	they_get(connection.them, 5);
	outcome("sendmsg with empty parts", sendmsg(connection.us, &header, 0));
	they_get(connection.them, 5);
	outcome("sendto NULL", sendto(connection.us, "hello", 5, 0, NULL, 0));
	they_get(connection.them, 5);
	outcome("send, CONFIRM and EOR", send(connection.us, "hello", 5, MSG_CONFIRM | MSG_EOR));
	they_get(connection.them, 5);
	outcome("writev of no parts", writev(connection.us, iov, 0));
	outcome("writev of empty parts", writev(connection.us, iov, 1));
	outcome("writev of -1 parts", writev(connection.us, iov, minus_one));
	outcome("send 0", send(connection.us, "", 0, 0));
	outcome("write 0 from NULL", write(connection.us, NULL, 0));
	iov[3].iov_len = (size_t)-1;
	outcome("writev of a negative length", writev(connection.us, iov, 5));
	header.msg_iovlen = 0;
	outcome("sendmsg of nothing", sendmsg(connection.us, &header, 0));
	settle();
	outcome("they have nothing", recv(connection.them, iov, 1, MSG_DONTWAIT));
	close_connection(connection);
}

static void case_address_given(void)
{
	struct connection connection = open_connection();
	struct address name = our_address(1);

	outcome("sendto an address", sendto(connection.us, "hello", 5, 0,
					    (struct sockaddr *)&name.storage, name.length));
	they_get(connection.them, 5);
	close_connection(connection);
}

static void case_many_parts(void)
{
	static struct iovec many[IOV_MAX + 1];
	static char bytes[IOV_MAX + 1], got[IOV_MAX];
	struct connection connection = open_connection();
	struct msghdr header = { .msg_iov = many, .msg_iovlen = IOV_MAX + 1 };

	for (int i = 0; i < IOV_MAX + 1; i++) {
		bytes[i] = (char)i;
		many[i] = (struct iovec){ .iov_base = bytes + i, .iov_len = 1 };
	}
	outcome("writev of IOV_MAX + 1 parts", writev(connection.us, many, IOV_MAX + 1));
	outcome("sendmsg of IOV_MAX + 1 parts", sendmsg(connection.us, &header, 0));
	outcome("writev of IOV_MAX parts", writev(connection.us, many, IOV_MAX));
	await_bytes(connection.them, IOV_MAX);
	outcome("they get", recv(connection.them, got, IOV_MAX, MSG_WAITALL));
	show("bytes", got, IOV_MAX);
	header.msg_iovlen = IOV_MAX;
	outcome("sendmsg of IOV_MAX parts", sendmsg(connection.us, &header, 0));
	outcome("they get", recv(connection.them, got, IOV_MAX, MSG_WAITALL));
	show("bytes", got, IOV_MAX);
	close_connection(connection);
}

/* The mark says when more may be sent, and not how much at once. */
static void case_low_water(void)
{
	struct timeval time = { .tv_usec = 50000 };
	struct connection connection = open_talking();
	char bytes[1000] = { 0 };

	outcome("SO_SNDTIMEO",
		setsockopt(connection.us, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)));
	outcome("TCP_NOTSENT_LOWAT", setsockopt(connection.us, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
						&(int){ 1 }, sizeof(int)));
	outcome("send", send(connection.us, bytes, sizeof(bytes), 0));
	await_bytes(connection.them, sizeof(bytes));
	outcome("send at once", send(connection.us, bytes, sizeof(bytes), MSG_DONTWAIT));
	await_bytes(connection.them, 2 * sizeof(bytes));
	/* A segment that waits to become full takes more, whatever the mark. */
	outcome("TCP_CORK",
		setsockopt(connection.us, IPPROTO_TCP, TCP_CORK, &(int){ 1 }, sizeof(int)));
	for (int i = 0; i < 3; i++)
		outcome_at("corked", i, send(connection.us, bytes, 20, MSG_DONTWAIT));
	outcome("TCP_CORK",
		setsockopt(connection.us, IPPROTO_TCP, TCP_CORK, &(int){ 0 }, sizeof(int)));
	await_bytes(connection.them, 2 * sizeof(bytes) + 60);
	close_connection(connection);
}

static void case_bad_pointers(void)
{
	struct connection connection = open_connection();
	struct iovec iov[] = { { ab, 2 }, { bad_pointer(), 4 } };
	struct msghdr header = { .msg_iov = iov, .msg_iovlen = 1 };

	outcome("write", write(connection.us, bad_pointer(), 4));
	outcome("send", send(connection.us, bad_pointer(), 4, 0));
	outcome("sendmsg", sendmsg(connection.us, bad_pointer(), 0));
	outcome("writev, bad vector", writev(connection.us, bad_pointer(), 2));
	outcome("writev, first part bad", writev(connection.us, iov + 1, 1));
	header.msg_iov = bad_pointer();
	outcome("sendmsg, bad vector", sendmsg(connection.us, &header, 0));
	outcome("send works", send(connection.us, "after", 5, 0));
	they_get(connection.them, 5);
	close_connection(connection);
}

static void case_more(void)
{
	struct connection connection = open_connection();

	outcome("first, MORE", send(connection.us, "abc", 3, MSG_MORE));
	outcome("second, MORE", send(connection.us, "def", 3, MSG_MORE));
	outcome("last", send(connection.us, "ghi", 3, 0));
	they_get(connection.them, 9);
	outcome("MORE alone is sent after a while", send(connection.us, "xyz", 3, MSG_MORE));
	await_bytes(connection.them, 3);
	they_get(connection.them, 3);
	outcome("MORE and shutdown", send(connection.us, "end", 3, MSG_MORE));
	shutdown(connection.us, SHUT_WR);
	they_get(connection.them, 3);
	close_connection(connection);
}

/* No bytes leave the socket as writable as it was, which is no news. */
static void case_no_bytes(void)
{
	struct connection connection = open_connection();
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	struct pollfd entry = { .fd = connection.us, .events = POLLOUT };
	int epoll = epoll_create1(0);

	must("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, connection.us, &event));
	outcome("writable", epoll_wait(epoll, &event, 1, 0));
	outcome("write", write(connection.us, "", 0));
	outcome("still", poll(&entry, 1, 0));
	outcome("no news", epoll_wait(epoll, &event, 1, 600));
	close(epoll);
	close_connection(connection);
}

static long say(int fd, char *text, int flags, int own_flags, bool many)
{
	struct iovec iov = { text, 3 };
	struct mmsghdr message = {
		.msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1, .msg_flags = own_flags }
	};

	return many ? sendmmsg(fd, &message, 1, flags) : sendmsg(fd, &message.msg_hdr, flags);
}

/*
 * The end of a record: nothing joins it, so that what comes next lets it go. What waits itself
 * goes after 200 ms all the same (tcp(7)): a look that comes so late says nothing.
 */
static void look_behind_record(const char *name, int flags, int own_flags, bool many)
{
	int seen = 0;

	for (int i = 0; i < 50; i++) {
		struct connection connection = open_talking();
		struct pollfd entry = { .fd = connection.them, .events = POLLIN };
		int64_t start = now_ms();

		must("send", say(connection.us, abc, flags, own_flags, many));
		pause_ms(10);
		must("more", say(connection.us, def, MSG_MORE, 0, many));
		seen = poll(&entry, 1, 100);
		close_connection(connection);
		if (now_ms() - start < 150)
			break;
	}
	note("%s, %s: %s", many ? "sendmmsg" : "sendmsg", name, seen > 0 ? "there" : "held back");
}

static void case_record(void)
{
	for (int many = 0; many < 2; many++) {
		look_behind_record("behind a record", MSG_MORE | MSG_EOR, 0, many);
		look_behind_record("behind none", MSG_MORE, 0, many);
		look_behind_record("behind a message that says so", MSG_MORE, MSG_EOR, many);
	}
}

static void case_messages(void)
{
	struct connection connection = open_connection();
	char a[4] = { 0 }, b[4] = { 0 };
	struct iovec iov[] = { { abc, 3 }, { def, 3 } };
	struct iovec in[] = { { a, 3 }, { b, 3 } };
	struct mmsghdr out[2] = { { .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
				  { .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 } } };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &in[0], .msg_iovlen = 1 } },
				       { .msg_hdr = { .msg_iov = &in[1], .msg_iovlen = 1 } } };
	struct timespec limit = { .tv_nsec = 100000000 };

	outcome("sendmmsg", sendmmsg(connection.us, out, 2, 0));
	note("lengths %u %u", out[0].msg_len, out[1].msg_len);
	they_get(connection.them, 6);
	outcome("sendmmsg of none", sendmmsg(connection.us, out, 0, 0));
	send_all(connection.them, "ghijkl", 6);
	await_bytes(connection.us, 6);
	outcome("recvmmsg", recvmmsg(connection.us, messages, 2, 0, NULL));
	note("lengths %u %u", messages[0].msg_len, messages[1].msg_len);
	show("a", a, 3);
	show("b", b, 3);
	outcome("recvmmsg, DONTWAIT", recvmmsg(connection.us, messages, 2, MSG_DONTWAIT, NULL));
	send_all(connection.them, "mno", 3);
	await_bytes(connection.us, 3);
	outcome("recvmmsg, WAITFORONE", recvmmsg(connection.us, messages, 2, MSG_WAITFORONE, NULL));
	send_all(connection.them, "pqr", 3);
	await_bytes(connection.us, 3);
	outcome("recvmmsg, DONTWAIT and a limit",
		recvmmsg(connection.us, messages, 2, MSG_DONTWAIT, &limit));
	limit.tv_nsec = -1;
	outcome("recvmmsg, bad limit", recvmmsg(connection.us, messages, 2, MSG_DONTWAIT, &limit));
	close(connection.them);
	await(connection.us, POLLIN);
	outcome("recvmmsg at the end", recvmmsg(connection.us, messages, 2, 0, NULL));
	note("lengths %u %u", messages[0].msg_len, messages[1].msg_len);
	close(connection.us);
}

/* ---- several messages at once ---- */

#define MESSAGES 3

struct messages {
	struct mmsghdr headers[MESSAGES];
	struct iovec iov[MESSAGES];
	char data[MESSAGES][4];
};

/* Room for three bytes in each. */
static void prepare(struct messages *messages)
{
	memset(messages, 0, sizeof(*messages));
	for (int i = 0; i < MESSAGES; i++) {
		messages->iov[i] = (struct iovec){ messages->data[i], 3 };
		messages->headers[i].msg_hdr.msg_iov = &messages->iov[i];
		messages->headers[i].msg_hdr.msg_iovlen = 1;
	}
}

static void receive_some(const char *name, int fd, struct messages *messages, int flags)
{
	int count = recvmmsg(fd, messages->headers, MESSAGES, flags, NULL);

	outcome(name, count);
	for (int i = 0; i < count; i++)
		show(name, messages->data[i], messages->headers[i].msg_len);
}

static void look_at(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	poll(&entry, 1, 0);
	note("%s", poll_bits((unsigned short)entry.revents));
}

static void show_error(int fd)
{
	int error = -1;
	socklen_t length = sizeof(error);

	outcome("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
	note("error %s", errno_name(error));
}

/* The error that ends a call behind its first message is the next call's, whatever that is. */
static void case_reset_behind_a_message(void)
{
	for (int way = 0; way < 3; way++) {
		struct connection connection = open_talking();
		struct messages messages;
		pthread_t thread;

		note("way %d", way);
		prepare(&messages);
		send_all(connection.them, "abc", 3);
		await_bytes(connection.us, 3);
		thread = later(500, reset, connection.them);
		receive_some("one", connection.us, &messages, 0);
		join(thread);
		look_at(connection.us);
		if (way == 0)
			receive_some("then the reset", connection.us, &messages, 0);
		else if (way == 1)
			outcome("then the reset", recv(connection.us, messages.data, 4, 0));
		else
			show_error(connection.us);
		receive_some("then the end", connection.us, &messages, 0);
		close(connection.us);
	}
}

/* Before the first message it is asked for an error, though there is data. */
static void case_reset_before_the_messages(void)
{
	struct connection connection = open_talking();
	struct messages messages;

	prepare(&messages);
	send_all(connection.them, "abcdef", 6);
	await_bytes(connection.us, 6);
	reset(connection.them);
	await(connection.us, POLLERR);
	receive_some("the queue of errors", connection.us, &messages, MSG_ERRQUEUE);
	receive_some("the reset", connection.us, &messages, 0);
	receive_some("the data", connection.us, &messages, 0);
	receive_some("the end", connection.us, &messages, 0);
	close(connection.us);

	connection = open_talking();
	reset(connection.them);
	await(connection.us, POLLERR);
	outcome("none", recvmmsg(connection.us, messages.headers, 0, 0, NULL));
	show_error(connection.us);
	close(connection.us);
}

/* So is an error that is the program's mistake. */
static void case_bad_messages(void)
{
	for (int way = 0; way < 3; way++) {
		struct connection connection = open_connection();
		struct messages messages;

		note("way %d", way);
		prepare(&messages);
		if (way == 0)
			messages.headers[1].msg_hdr.msg_iov = bad_pointer();
		else if (way == 1)
			messages.headers[1].msg_hdr.msg_iovlen = 5000;
		else
			messages.iov[1].iov_base = bad_pointer();
		send_all(connection.them, "abcdef", 6);
		await_bytes(connection.us, 6);
		receive_some("one", connection.us, &messages, MSG_DONTWAIT);
		look_at(connection.us);
		prepare(&messages);
		receive_some("the mistake", connection.us, &messages, MSG_DONTWAIT);
		look_at(connection.us);
		receive_some("the rest", connection.us, &messages, MSG_DONTWAIT);
		receive_some("no more", connection.us, &messages, MSG_DONTWAIT);
		send_all(connection.us, "still", 5);
		they_get(connection.them, 5);
		close_connection(connection);
	}
}

/* The time of the first probe comes while an error waits for the next call: it is not lost. */
static void case_bad_message_before_a_probe(void)
{
	struct connection connection = open_talking();
	struct messages messages;
	int one = 1;

	must("SO_KEEPALIVE",
	     setsockopt(connection.us, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	must("KEEPIDLE", setsockopt(connection.us, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one)));
	prepare(&messages);
	messages.headers[1].msg_hdr.msg_iov = bad_pointer();
	send_all(connection.them, "abcdef", 6);
	await_bytes(connection.us, 6);
	receive_some("one", connection.us, &messages, MSG_DONTWAIT);
	sleep(3);
	show_error(connection.us);
	close_connection(connection);
}

static void case_urgent_messages(void)
{
	struct connection connection = open_connection();
	struct messages messages;

	prepare(&messages);
	send_all(connection.them, "abc", 3);
	must("send", send(connection.them, "X", 1, MSG_OOB));
	await(connection.us, POLLPRI);
	receive_some("the urgent byte", connection.us, &messages, MSG_OOB);
	look_at(connection.us);
	receive_some("the others", connection.us, &messages, MSG_DONTWAIT);
	close_connection(connection);
}

/* The second message would leave a gap: the call ends with the part of the first one. */
static void case_part_of_a_message(void)
{
	struct connection connection = open_connection();
	static char much[32 << 20];
	struct iovec iov[2] = { { much, sizeof(much) }, { abc, 3 } };
	struct mmsghdr out[2] = { { .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
				  { .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 },
				    .msg_len = 77 } };
	int small = 4096;

	must("SO_RCVBUF",
	     setsockopt(connection.them, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	set_nonblocking(connection.us, true);
	outcome("sendmmsg", sendmmsg(connection.us, out, 2, 0));
	note("first %s, second %u", out[0].msg_len < sizeof(much) ? "in part" : "wholly",
	     out[1].msg_len);
	reset(connection.them);
	close(connection.us);
}

static void case_very_many_messages(void)
{
	static struct mmsghdr many[1100];
	struct connection connection = open_connection();
	struct iovec iov = { byte_x, 1 };

	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		many[i].msg_hdr = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 };
	outcome("sendmmsg", sendmmsg(connection.us, many, 1100, 0));
	drain(connection.them, 1024);
	send_all(connection.them, many, 1100);
	await_bytes(connection.us, 1100);
	outcome("recvmmsg", recvmmsg(connection.us, many, 1100, 0, NULL));
	close_connection(connection);
}

/* What sendmmsg() meets behind its first message is lost. */
static void case_bad_message_to_send(void)
{
	struct connection connection = open_connection();
	struct iovec iov = { abc, 3 };
	struct mmsghdr out[2] = { { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } },
				  { .msg_hdr = { .msg_iov = bad_pointer(), .msg_iovlen = 1 } } };

	outcome("sendmmsg", sendmmsg(connection.us, out, 2, 0));
	they_get(connection.them, 3);
	look_at(connection.us);
	show_error(connection.us);
	close_connection(connection);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "plain", case_plain, 0 },
		{ "broken pipe", case_broken_pipe, 0 },
		{ "not connected", case_not_connected, 0 },
		{ "address given", case_address_given, 0 },
		{ "many parts", case_many_parts, 0 },
		{ "low water", case_low_water, 0 },
		{ "bad pointers", case_bad_pointers, 0 },
		{ "more", case_more, 0 },
		{ "record", case_record, 0 },
		{ "no bytes", case_no_bytes, 0 },
		{ "messages", case_messages, 0 },
		{ "reset behind a message", case_reset_behind_a_message, 0 },
		{ "reset before the messages", case_reset_before_the_messages, 0 },
		{ "bad messages", case_bad_messages, 0 },
		{ "bad message before a probe", case_bad_message_before_a_probe, 0 },
		{ "urgent messages", case_urgent_messages, 0 },
		{ "part of a message", case_part_of_a_message, 0 },
		{ "very many messages", case_very_many_messages, 0 },
		{ "bad message to send", case_bad_message_to_send, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
