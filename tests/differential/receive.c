/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: recv(2), its flags and its siblings on a connection. */
#include "step.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static void send_abc(int fd)
{
	send_all(fd, "abc", 3);
}

static void send_def(int fd)
{
	send_all(fd, "def", 3);
}

static void send_abc_then_def(int fd)
{
	send_abc(fd);
	settle();
	send_def(fd);
}

static void close_it(int fd)
{
	close(fd);
}

static void receive_and_show(const char *name, int fd, size_t length, int flags)
{
	char buffer[64] = { 0 };
	ssize_t n = recv(fd, buffer, length, flags);

	step(name, n);
	if (n > 0 && !(flags & MSG_TRUNC))
		show(name, buffer, n);
}

static void case_peek(void)
{
	struct pair pair = open_pair();

	receive_and_show("peek, nothing there", pair.us, 5, MSG_PEEK | MSG_DONTWAIT);
	send_all(pair.them, "hello world", 11);
	await_bytes(pair.us, 11);
	receive_and_show("peek 5", pair.us, 5, MSG_PEEK);
	receive_and_show("peek 5 again", pair.us, 5, MSG_PEEK);
	receive_and_show("peek more than there is", pair.us, 40, MSG_PEEK);
	receive_and_show("take 6", pair.us, 6, 0);
	receive_and_show("peek the rest", pair.us, 40, MSG_PEEK);
	receive_and_show("take the rest", pair.us, 40, 0);
	receive_and_show("peek, nothing left", pair.us, 5, MSG_PEEK | MSG_DONTWAIT);
	send_abc(pair.them);
	await_bytes(pair.us, 3);
	send_def(pair.them);
	await_bytes(pair.us, 6);
	receive_and_show("peek over two segments", pair.us, 40, MSG_PEEK);
	receive_and_show("take over two segments", pair.us, 40, 0);
	close(pair.them);
	await(pair.us, POLLIN);
	receive_and_show("peek at the end", pair.us, 5, MSG_PEEK);
	receive_and_show("take at the end", pair.us, 5, 0);
	close(pair.us);
}

static void case_wait_all(void)
{
	struct pair pair = open_pair();
	pthread_t thread;

	send_abc(pair.them);
	thread = later(100, send_def, pair.them);
	receive_and_show("in two parts", pair.us, 6, MSG_WAITALL);
	join(thread);

	send_abc(pair.them);
	thread = later(100, send_def, pair.them);
	receive_and_show("peek at two parts", pair.us, 6, MSG_WAITALL | MSG_PEEK);
	join(thread);
	receive_and_show("and take them", pair.us, 6, MSG_WAITALL);

	send_abc(pair.them);
	await_bytes(pair.us, 3);
	receive_and_show("with DONTWAIT", pair.us, 6, MSG_WAITALL | MSG_DONTWAIT);
	receive_and_show("with DONTWAIT, empty", pair.us, 6, MSG_WAITALL | MSG_DONTWAIT);

	struct timeval limit = { .tv_usec = 100000 };

	step("SO_RCVTIMEO", setsockopt(pair.us, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	send_abc(pair.them);
	await_bytes(pair.us, 3);
	receive_and_show("with a time limit", pair.us, 6, MSG_WAITALL);
	receive_and_show("with a time limit, empty", pair.us, 6, MSG_WAITALL);
	limit.tv_usec = 0;
	setsockopt(pair.us, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));

	send_abc(pair.them);
	thread = later(100, close_it, pair.them);
	receive_and_show("cut short by the end", pair.us, 6, MSG_WAITALL);
	join(thread);
	receive_and_show("at the end", pair.us, 6, MSG_WAITALL);
	close(pair.us);
}

static void case_dont_wait(void)
{
	struct pair pair = open_pair();
	char buffer[8];

	receive_and_show("empty", pair.us, 8, MSG_DONTWAIT);
	step("recvfrom, empty", recvfrom(pair.us, buffer, 8, MSG_DONTWAIT, NULL, NULL));
	send_abc(pair.them);
	await_bytes(pair.us, 3);
	receive_and_show("with data", pair.us, 8, MSG_DONTWAIT);
	set_nonblocking(pair.us, true);
	step("read, non-blocking", read(pair.us, buffer, 8));
	step("recv, non-blocking", recv(pair.us, buffer, 8, 0));
	close(pair.them);
	await(pair.us, POLLIN);
	receive_and_show("at the end", pair.us, 8, MSG_DONTWAIT);
	close(pair.us);
}

static void case_trunc(void)
{
	struct pair pair = open_pair();
	int left = -1;

	send_all(pair.them, "hello world", 11);
	await_bytes(pair.us, 11);
	receive_and_show("discard 6", pair.us, 6, MSG_TRUNC);
	step("FIONREAD", ioctl(pair.us, FIONREAD, &left));
	note("left: %d", left);
	step("discard without a buffer", recv(pair.us, NULL, 2, MSG_TRUNC));
	receive_and_show("peek and trunc", pair.us, 40, MSG_TRUNC | MSG_PEEK);
	receive_and_show("take the rest", pair.us, 40, 0);
	receive_and_show("nothing left", pair.us, 40, MSG_TRUNC | MSG_DONTWAIT);
	close_pair(pair);
}

static void case_urgent_refused(void)
{
	struct pair pair = open_pair();

	receive_and_show("no urgent data", pair.us, 1, MSG_OOB);
	send_abc(pair.them);
	await_bytes(pair.us, 3);
	receive_and_show("no urgent data, but other", pair.us, 1, MSG_OOB);
	receive_and_show("the other", pair.us, 8, 0);
	receive_and_show("the error queue is empty", pair.us, 8, MSG_ERRQUEUE);
	close_pair(pair);
}

static void case_end(void)
{
	struct pair pair = open_pair();

	send_abc(pair.them);
	close(pair.them);
	await(pair.us, POLLIN | POLLRDHUP);
	receive_and_show("the data", pair.us, 8, 0);
	receive_and_show("the end", pair.us, 8, 0);
	receive_and_show("the end stays", pair.us, 8, 0);
	close(pair.us);
}

static void case_reset(void)
{
	struct pair pair = open_pair();
	int error = -1;
	socklen_t length = sizeof(error);

	reset(pair.them);
	await(pair.us, POLLERR);
	receive_and_show("reset", pair.us, 8, 0);
	receive_and_show("reported once", pair.us, 8, 0);
	step("SO_ERROR", getsockopt(pair.us, SOL_SOCKET, SO_ERROR, &error, &length));
	note("error %s", errno_name(error));
	close(pair.us);

	pair = open_pair();
	send_abc(pair.them);
	await_bytes(pair.us, 3);
	reset(pair.them);
	await(pair.us, POLLERR);
	receive_and_show("data before the reset", pair.us, 8, 0);
	receive_and_show("then the reset", pair.us, 8, 0);
	receive_and_show("then the end", pair.us, 8, 0);
	close(pair.us);
}

static void case_names(void)
{
	struct pair pair = open_pair();
	char buffer[8] = { 0 }, control[64];
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);

	memset(&from, 0x5a, sizeof(from));
	send_all(pair.them, "abcdef", 6);
	await_bytes(pair.us, 6);
	step("recvfrom", recvfrom(pair.us, buffer, 2, 0, (struct sockaddr *)&from, &length));
	note("length %u, family %x", length, from.ss_family);

	struct iovec iov = { .iov_base = buffer, .iov_len = 2 };
	struct msghdr header = { .msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control),
				 .msg_flags = -1 };

	step("recvmsg", recvmsg(pair.us, &header, 0));
	note("name %u, control %zu, flags %x", header.msg_namelen, header.msg_controllen,
	     (unsigned)header.msg_flags);
	show("data", buffer, 2);
	header.msg_iovlen = 0;
	step("recvmsg into nothing", recvmsg(pair.us, &header, MSG_DONTWAIT));
	receive_and_show("the rest", pair.us, 8, 0);
	close_pair(pair);
}

static void case_vectors(void)
{
	static struct iovec many[IOV_MAX + 1];
	static char bytes[IOV_MAX + 1];
	struct pair pair = open_pair();
	char a[3] = { 0 }, b[4] = { 0 };
	struct iovec iov[] = { { NULL, 0 }, { a, 2 }, { NULL, 0 }, { b, 3 }, { a, 0 } };
	volatile int minus_one = -1; /* the compiler warns of the constant */
	struct msghdr header = { .msg_iov = many, .msg_iovlen = IOV_MAX + 1 };

	send_all(pair.them, "abcdefgh", 8);
	await_bytes(pair.us, 8);
	step("readv with empty parts", readv(pair.us, iov, 5));
	show("a", a, 2);
	show("b", b, 3);
	step("readv of no parts", readv(pair.us, iov, 0));
	step("readv of -1 parts", readv(pair.us, iov, minus_one));
	for (int i = 0; i < IOV_MAX + 1; i++)
		many[i] = (struct iovec){ .iov_base = bytes + i, .iov_len = 1 };
	step("readv of IOV_MAX + 1 parts", readv(pair.us, many, IOV_MAX + 1));
	step("recvmsg of IOV_MAX + 1 parts", recvmsg(pair.us, &header, MSG_DONTWAIT));
	step("readv of IOV_MAX parts", readv(pair.us, many, IOV_MAX));
	show("bytes", bytes, 4);
	iov[1].iov_len = (size_t)-1;
	step("readv of a negative length", readv(pair.us, iov, 2));
	set_nonblocking(pair.us, true);
	step("readv, only empty parts", readv(pair.us, iov, 1));
	step("readv, nothing there", readv(pair.us, iov + 3, 1));
	close_pair(pair);
}

static void case_zero_length(void)
{
	struct pair pair = open_pair();
	char buffer[8] = { 0 };

	step("read 0, nothing there", read(pair.us, buffer, 0));
	step("read 0 to NULL", read(pair.us, NULL, 0));
	step("recv 0, nothing there", recv(pair.us, buffer, 0, MSG_DONTWAIT));
	send_abc(pair.them);
	await_bytes(pair.us, 3);
	step("read 0 with data", read(pair.us, buffer, 0));
	step("recv 0 with data", recv(pair.us, buffer, 0, 0));
	step("peek 0 with data", recv(pair.us, buffer, 0, MSG_PEEK));
	receive_and_show("the data is still there", pair.us, 8, 0);
	close(pair.them);
	await(pair.us, POLLIN);
	step("read 0 at the end", read(pair.us, buffer, 0));
	step("recv 0 at the end", recv(pair.us, buffer, 0, 0));
	close(pair.us);
}

static void case_bad_pointers(void)
{
	struct pair pair = open_pair();
	char buffer[8] = { 0 };
	struct iovec iov[] = { { buffer, 2 }, { bad_pointer(), 4 } };
	socklen_t length = 16;

	send_all(pair.them, "abcdefgh", 8);
	await_bytes(pair.us, 8);
	step("read to a bad pointer", read(pair.us, bad_pointer(), 4));
	step("recv to a bad pointer", recv(pair.us, bad_pointer(), 4, 0));
	step("recvmsg of a bad pointer", recvmsg(pair.us, bad_pointer(), 0));
	step("readv of a bad vector", readv(pair.us, bad_pointer(), 2));
	step("readv, second part bad", readv(pair.us, iov, 2));
	receive_and_show("nothing was lost after it", pair.us, 2, 0);
	step("recvfrom, bad length pointer",
	     recvfrom(pair.us, buffer, 1, 0, (struct sockaddr *)buffer, bad_pointer()));
	step("recvfrom, bad address", recvfrom(pair.us, buffer, 1, 0, bad_pointer(), &length));
	receive_and_show("the rest", pair.us, 8, MSG_DONTWAIT);
	close_pair(pair);
}

static void case_low_water(void)
{
	struct pair pair = open_pair();
	struct pollfd entry = { .fd = pair.us, .events = POLLIN };
	int low = 6;
	pthread_t thread;

	step("SO_RCVLOWAT", setsockopt(pair.us, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	send_abc(pair.them);
	await_bytes(pair.us, 3);
	step("poll below the mark", poll(&entry, 1, 0));
	receive_and_show("DONTWAIT below the mark", pair.us, 8, MSG_DONTWAIT);
	/* Not begun with less than the mark: Linux then takes that and waits for a mark more. */
	thread = later(100, send_abc_then_def, pair.them);
	receive_and_show("waits for the mark", pair.us, 8, 0);
	join(thread);
	send_abc(pair.them);
	await_bytes(pair.us, 3);
	receive_and_show("a shorter length is enough", pair.us, 2, 0);
	thread = later(100, close_it, pair.them);
	receive_and_show("the end is enough", pair.us, 8, 0);
	join(thread);
	close(pair.us);
}

static void case_bulk(void)
{
	enum { SIZE = 300000 };
	static char sent[SIZE], got[SIZE];
	struct pair pair = open_pair();
	size_t there = 0;

	for (int i = 0; i < SIZE; i++)
		sent[i] = (char)(i * 31 + i / 251);
	set_nonblocking(pair.them, true);
	for (size_t out = 0; there < SIZE;) {
		ssize_t n = out < SIZE ? send(pair.them, sent + out, SIZE - out, 0) : 0;

		if (n > 0)
			out += (size_t)n;
		n = recv(pair.us, got + there, SIZE - there, MSG_DONTWAIT);
		if (n > 0)
			there += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			break;
	}
	show("sent", sent, SIZE);
	show("got", got, (long)there);
	close_pair(pair);
}

static void case_not_connected(void)
{
	int fd = open_socket(0);
	char byte;

	step("recv, fresh", recv(fd, &byte, 1, 0));
	step("read, fresh", read(fd, &byte, 1));
	step("read 0, fresh", read(fd, &byte, 0));
	step("peek, fresh", recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
	close(fd);
	fd = our_listener(1);
	step("recv, listener", recv(fd, &byte, 1, 0));
	step("read, listener", read(fd, &byte, 1));
	close(fd);
	step("recv, closed", recv(fd, &byte, 1, 0));
	step("read, closed", read(fd, &byte, 1));
	step("recv, -1", recv(-1, &byte, 1, 0));
}

static void case_positions(void)
{
	struct pair pair = open_pair();
	char buffer[4];
	struct iovec iov = { buffer, 4 };

	step("pread", pread(pair.us, buffer, 4, 0));
	step("pwrite", pwrite(pair.us, "abc", 3, 0));
	step("preadv", preadv(pair.us, &iov, 1, 0));
	step("lseek", lseek(pair.us, 0, SEEK_CUR));
	step("ftruncate", ftruncate(pair.us, 0));
	step("fsync", fsync(pair.us));
	close_pair(pair);
}

/* More than the buffer holds, to a reader that takes what is there. */
static void through_small_buffer(int from, int to)
{
	static char data[4096];
	const long size = 65536;
	long sent = 0, got = 0;
	int64_t end = now_ms() + 10000;

	while (got < size && now_ms() < end) {
		struct pollfd entry = { .fd = to, .events = POLLIN };
		ssize_t n = sent < size ? send(from, data, sizeof(data), MSG_DONTWAIT) : 0;

		if (n > 0)
			sent += n;
		if (poll(&entry, 1, sent < size ? 1 : 100) > 0)
			n = recv(to, data, sizeof(data), MSG_DONTWAIT);
		else
			n = 0;
		if (n > 0)
			got += n;
	}
	step("came through", got >= size ? size : got);
}

static void case_small_buffer(void)
{
	static const int sizes[] = { 1, 4096, 10000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int listener = our_listener(5), theirs = their_listener(5);
		struct address ours = name_of(listener), address = name_of(theirs);
		struct pair pair = { .us = open_socket(0) };

		note("SO_RCVBUF %d", sizes[i]);
		must("SO_RCVBUF",
		     setsockopt(pair.us, SOL_SOCKET, SO_RCVBUF, &sizes[i], sizeof(sizes[i])));
		must("connect",
		     connect(pair.us, (struct sockaddr *)&address.storage, address.length));
		pair.them = accept_one(theirs);
		through_small_buffer(pair.them, pair.us);
		close_pair(pair);
		must("SO_RCVBUF",
		     setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &sizes[i], sizeof(sizes[i])));
		pair.them = them_connect(&ours);
		pair.us = accept_one(listener);
		through_small_buffer(pair.them, pair.us);
		close_pair(pair);
		close(listener);
		close(theirs);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "peek", case_peek, 0 },
		{ "wait all", case_wait_all, 0 },
		{ "dont wait", case_dont_wait, 0 },
		{ "trunc", case_trunc, 0 },
		{ "no urgent data", case_urgent_refused, 0 },
		{ "end", case_end, 0 },
		{ "reset", case_reset, 0 },
		{ "names", case_names, 0 },
		{ "vectors", case_vectors, 0 },
		{ "zero length", case_zero_length, 0 },
		{ "bad pointers", case_bad_pointers, 0 },
		{ "low water", case_low_water, 0 },
		{ "bulk", case_bulk, 0 },
		{ "small buffer", case_small_buffer, 60 },
		{ "not connected", case_not_connected, 0 },
		{ "positions", case_positions, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
