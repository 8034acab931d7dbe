/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: send(2), its flags and its siblings on a connection. Not for full buffers. */
#include "step.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

/* What iovecs point to; they know no const. */
static char byte_x[] = "x", ab[] = "ab", abc[] = "abc", cde[] = "cde", def[] = "def";

static void count_signal(int number)
{
	(void)number;
	signals++;
}

static void step_and_signals(const char *name, long result)
{
	step(name, result);
	if (signals)
		note("SIGPIPE %d", (int)signals);
	signals = 0;
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

	step_and_signals("send", send(fd, "x", 1, 0));
	step_and_signals("send again", send(fd, "x", 1, 0));
	step_and_signals("send, NOSIGNAL", send(fd, "x", 1, MSG_NOSIGNAL));
	step_and_signals("send, DONTWAIT", send(fd, "x", 1, MSG_DONTWAIT));
	step_and_signals("write", write(fd, "x", 1));
	step_and_signals("writev", writev(fd, &iov, 1));
	step_and_signals("sendto", sendto(fd, "x", 1, 0, NULL, 0));
	step_and_signals("sendmsg", sendmsg(fd, &header, 0));
	step_and_signals("sendmsg, NOSIGNAL", sendmsg(fd, &header, MSG_NOSIGNAL));
	step_and_signals("send 0", send(fd, "x", 0, 0));
	step_and_signals("write 0", write(fd, "x", 0));
	step_and_signals("writev 0", writev(fd, &iov, 0));
}

static void case_broken_pipe(void)
{
	struct sigaction action = { .sa_handler = count_signal };
	struct pair pair;
	sigset_t set, old, pending;

	sigaction(SIGPIPE, &action, NULL);
	pair = open_pair();
	note("after shutdown for writing");
	shutdown(pair.us, SHUT_WR);
	send_every_way(pair.us);
	close_pair(pair);

	note("after a reset");
	pair = open_pair();
	reset(pair.them);
	await(pair.us, POLLERR);
	send_every_way(pair.us);
	close(pair.us);

	note("after the peer's close");
	pair = open_pair();
	close(pair.them);
	await(pair.us, POLLRDHUP | POLLIN);
	step_and_signals("the first is taken", send(pair.us, "x", 1, 0));
	await(pair.us, POLLHUP);
	send_every_way(pair.us);
	close(pair.us);

	note("with the signal ignored");
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	pair = open_pair();
	shutdown(pair.us, SHUT_WR);
	step("send", send(pair.us, "x", 1, 0));

	note("with the signal blocked");
	action.sa_handler = count_signal;
	sigaction(SIGPIPE, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	step("send, NOSIGNAL", send(pair.us, "x", 1, MSG_NOSIGNAL));
	sigpending(&pending);
	note("pending %d", sigismember(&pending, SIGPIPE));
	step("send", send(pair.us, "x", 1, 0));
	sigpending(&pending);
	note("pending %d", sigismember(&pending, SIGPIPE));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	note("signals %d", (int)signals);
	signals = 0;
	close_pair(pair);
}

static void case_not_connected(void)
{
	struct sigaction action = { .sa_handler = count_signal };
	int fd = open_socket(0);

	sigaction(SIGPIPE, &action, NULL);
	note("fresh");
	send_every_way(fd);
	close(fd);
	note("listener");
	fd = our_listener(1);
	send_every_way(fd);
	close(fd);
	step("closed", send(fd, "x", 1, 0));
	step("closed, write", write(fd, "x", 1));
}

static void case_plain(void)
{
	struct pair pair = open_pair();
	struct iovec iov[] = { { NULL, 0 }, { ab, 2 }, { NULL, 0 }, { cde, 3 }, { ab, 0 } };
	struct msghdr header = { .msg_iov = iov, .msg_iovlen = 5 };
	volatile int minus_one = -1; /* the compiler warns of the constant */

	step("send", send(pair.us, "hello", 5, 0));
	they_get(pair.them, 5);
	step("write", write(pair.us, "hello", 5));
	they_get(pair.them, 5);
	step("writev with empty parts", writev(pair.us, iov, 5));
	they_get(pair.them, 5);
	step("sendmsg with empty parts", sendmsg(pair.us, &header, 0));
	they_get(pair.them, 5);
	step("sendto NULL", sendto(pair.us, "hello", 5, 0, NULL, 0));
	they_get(pair.them, 5);
	step("send, CONFIRM and EOR", send(pair.us, "hello", 5, MSG_CONFIRM | MSG_EOR));
	they_get(pair.them, 5);
	step("writev of no parts", writev(pair.us, iov, 0));
	step("writev of empty parts", writev(pair.us, iov, 1));
	step("writev of -1 parts", writev(pair.us, iov, minus_one));
	step("send 0", send(pair.us, "", 0, 0));
	step("write 0 from NULL", write(pair.us, NULL, 0));
	iov[3].iov_len = (size_t)-1;
	step("writev of a negative length", writev(pair.us, iov, 5));
	header.msg_iovlen = 0;
	step("sendmsg of nothing", sendmsg(pair.us, &header, 0));
	settle();
	step("they have nothing", recv(pair.them, iov, 1, MSG_DONTWAIT));
	close_pair(pair);
}

static void case_address_given(void)
{
	struct pair pair = open_pair();
	struct address name = our_address(1);

	step("sendto an address",
	     sendto(pair.us, "hello", 5, 0, (struct sockaddr *)&name.storage, name.length));
	they_get(pair.them, 5);
	close_pair(pair);
}

static void case_many_parts(void)
{
	static struct iovec many[IOV_MAX + 1];
	static char bytes[IOV_MAX + 1], got[IOV_MAX];
	struct pair pair = open_pair();
	struct msghdr header = { .msg_iov = many, .msg_iovlen = IOV_MAX + 1 };

	for (int i = 0; i < IOV_MAX + 1; i++) {
		bytes[i] = (char)i;
		many[i] = (struct iovec){ .iov_base = bytes + i, .iov_len = 1 };
	}
	step("writev of IOV_MAX + 1 parts", writev(pair.us, many, IOV_MAX + 1));
	step("sendmsg of IOV_MAX + 1 parts", sendmsg(pair.us, &header, 0));
	step("writev of IOV_MAX parts", writev(pair.us, many, IOV_MAX));
	await_bytes(pair.them, IOV_MAX);
	step("they get", recv(pair.them, got, IOV_MAX, MSG_WAITALL));
	show("bytes", got, IOV_MAX);
	header.msg_iovlen = IOV_MAX;
	step("sendmsg of IOV_MAX parts", sendmsg(pair.us, &header, 0));
	step("they get", recv(pair.them, got, IOV_MAX, MSG_WAITALL));
	show("bytes", got, IOV_MAX);
	close_pair(pair);
}

static void case_bad_pointers(void)
{
	struct pair pair = open_pair();
	struct iovec iov[] = { { ab, 2 }, { bad_pointer(), 4 } };
	struct msghdr header = { .msg_iov = iov, .msg_iovlen = 1 };

	step("write", write(pair.us, bad_pointer(), 4));
	step("send", send(pair.us, bad_pointer(), 4, 0));
	step("sendmsg", sendmsg(pair.us, bad_pointer(), 0));
	step("writev, bad vector", writev(pair.us, bad_pointer(), 2));
	step("writev, first part bad", writev(pair.us, iov + 1, 1));
	header.msg_iov = bad_pointer();
	step("sendmsg, bad vector", sendmsg(pair.us, &header, 0));
	step("send works", send(pair.us, "after", 5, 0));
	they_get(pair.them, 5);
	close_pair(pair);
}

static void case_more(void)
{
	struct pair pair = open_pair();

	step("first, MORE", send(pair.us, "abc", 3, MSG_MORE));
	step("second, MORE", send(pair.us, "def", 3, MSG_MORE));
	step("last", send(pair.us, "ghi", 3, 0));
	they_get(pair.them, 9);
	step("MORE alone is sent after a while", send(pair.us, "xyz", 3, MSG_MORE));
	await_bytes(pair.them, 3);
	they_get(pair.them, 3);
	step("MORE and shutdown", send(pair.us, "end", 3, MSG_MORE));
	shutdown(pair.us, SHUT_WR);
	they_get(pair.them, 3);
	close_pair(pair);
}

static void case_messages(void)
{
	struct pair pair = open_pair();
	char a[4] = { 0 }, b[4] = { 0 };
	struct iovec iov[] = { { abc, 3 }, { def, 3 } };
	struct iovec in[] = { { a, 3 }, { b, 3 } };
	struct mmsghdr out[2] = { { .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
				  { .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 } } };
	struct mmsghdr messages[2] = { { .msg_hdr = { .msg_iov = &in[0], .msg_iovlen = 1 } },
				       { .msg_hdr = { .msg_iov = &in[1], .msg_iovlen = 1 } } };
	struct timespec limit = { .tv_nsec = 100000000 };

	step("sendmmsg", sendmmsg(pair.us, out, 2, 0));
	note("lengths %u %u", out[0].msg_len, out[1].msg_len);
	they_get(pair.them, 6);
	step("sendmmsg of none", sendmmsg(pair.us, out, 0, 0));
	send_all(pair.them, "ghijkl", 6);
	await_bytes(pair.us, 6);
	step("recvmmsg", recvmmsg(pair.us, messages, 2, 0, NULL));
	note("lengths %u %u", messages[0].msg_len, messages[1].msg_len);
	show("a", a, 3);
	show("b", b, 3);
	step("recvmmsg, DONTWAIT", recvmmsg(pair.us, messages, 2, MSG_DONTWAIT, NULL));
	send_all(pair.them, "mno", 3);
	await_bytes(pair.us, 3);
	step("recvmmsg, WAITFORONE", recvmmsg(pair.us, messages, 2, MSG_WAITFORONE, NULL));
	send_all(pair.them, "pqr", 3);
	await_bytes(pair.us, 3);
	step("recvmmsg, DONTWAIT and a limit",
	     recvmmsg(pair.us, messages, 2, MSG_DONTWAIT, &limit));
	limit.tv_nsec = -1;
	step("recvmmsg, bad limit", recvmmsg(pair.us, messages, 2, MSG_DONTWAIT, &limit));
	close(pair.them);
	await(pair.us, POLLIN);
	step("recvmmsg at the end", recvmmsg(pair.us, messages, 2, 0, NULL));
	note("lengths %u %u", messages[0].msg_len, messages[1].msg_len);
	close(pair.us);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "plain", case_plain, 0 },
		{ "broken pipe", case_broken_pipe, 0 },
		{ "not connected", case_not_connected, 0 },
		{ "address given", case_address_given, 0 },
		{ "many parts", case_many_parts, 0 },
		{ "bad pointers", case_bad_pointers, 0 },
		{ "more", case_more, 0 },
		{ "messages", case_messages, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
