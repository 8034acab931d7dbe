/* SPDX-License-Identifier: BSD-3-Clause */
/* Differential cases: recv(2), its flags and its siblings on a connection. */
#include "harness.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

	outcome(name, n);
	if (n > 0 && !(flags & MSG_TRUNC))
		show(name, buffer, n);
}

static void case_peek(void)
{
	struct connection connection = open_connection();

	receive_and_show("peek, nothing there", connection.us, 5, MSG_PEEK | MSG_DONTWAIT);
	send_all(connection.them, "hello world", 11);
	await_bytes(connection.us, 11);
	receive_and_show("peek 5", connection.us, 5, MSG_PEEK);
	receive_and_show("peek 5 again", connection.us, 5, MSG_PEEK);
	receive_and_show("peek more than there is", connection.us, 40, MSG_PEEK);
	receive_and_show("take 6", connection.us, 6, 0);
	receive_and_show("peek the rest", connection.us, 40, MSG_PEEK);
	receive_and_show("take the rest", connection.us, 40, 0);
	receive_and_show("peek, nothing left", connection.us, 5, MSG_PEEK | MSG_DONTWAIT);
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	send_def(connection.them);
	await_bytes(connection.us, 6);
	receive_and_show("peek over two segments", connection.us, 40, MSG_PEEK);
	receive_and_show("take over two segments", connection.us, 40, 0);
	close(connection.them);
	await(connection.us, POLLIN);
	receive_and_show("peek at the end", connection.us, 5, MSG_PEEK);
	receive_and_show("take at the end", connection.us, 5, 0);
	close(connection.us);
}

static void case_wait_all(void)
{
	struct connection connection = open_connection();
	pthread_t thread;

	send_abc(connection.them);
	thread = later(100, send_def, connection.them);
	receive_and_show("in two parts", connection.us, 6, MSG_WAITALL);
	join(thread);

	send_abc(connection.them);
	thread = later(100, send_def, connection.them);
	receive_and_show("peek at two parts", connection.us, 6, MSG_WAITALL | MSG_PEEK);
	join(thread);
	receive_and_show("and take them", connection.us, 6, MSG_WAITALL);

	send_abc(connection.them);
	await_bytes(connection.us, 3);
	receive_and_show("with DONTWAIT", connection.us, 6, MSG_WAITALL | MSG_DONTWAIT);
	receive_and_show("with DONTWAIT, empty", connection.us, 6, MSG_WAITALL | MSG_DONTWAIT);

	struct timeval limit = { .tv_usec = 100000 };

	outcome("SO_RCVTIMEO",
		setsockopt(connection.us, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	receive_and_show("with a time limit", connection.us, 6, MSG_WAITALL);
	receive_and_show("with a time limit, empty", connection.us, 6, MSG_WAITALL);
	limit.tv_usec = 0;
	setsockopt(connection.us, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));

	send_abc(connection.them);
	thread = later(100, close_it, connection.them);
	receive_and_show("cut short by the end", connection.us, 6, MSG_WAITALL);
	join(thread);
	receive_and_show("at the end", connection.us, 6, MSG_WAITALL);
	close(connection.us);
}

/* Then calls do not wait at all, though the kernel tells the limit as none. */
static void case_negative_limit(void)
{
	struct connection connection = open_talking();
	struct timeval limit = { .tv_sec = -1 };
	socklen_t length = sizeof(limit);

	outcome("SO_RCVTIMEO", setsockopt(connection.us, SOL_SOCKET, SO_RCVTIMEO, &limit, length));
	must("getsockopt", getsockopt(connection.us, SOL_SOCKET, SO_RCVTIMEO, &limit, &length));
	note("told as %ld, %ld", (long)limit.tv_sec, (long)limit.tv_usec);
	receive_and_show("empty", connection.us, 8, 0);
	talk_a_while(connection);
	receive_and_show("empty again", connection.us, 8, 0);
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	receive_and_show("all of more", connection.us, 8, MSG_WAITALL);

	pthread_t thread = later(100, send_def, connection.them);

	limit = (struct timeval){ 0 };
	outcome("none", setsockopt(connection.us, SOL_SOCKET, SO_RCVTIMEO, &limit, length));
	receive_and_show("waits", connection.us, 8, 0);
	join(thread);
	close_connection(connection);
}

static void case_dont_wait(void)
{
	struct connection connection = open_connection();
	char buffer[8];

	receive_and_show("empty", connection.us, 8, MSG_DONTWAIT);
	outcome("recvfrom, empty", recvfrom(connection.us, buffer, 8, MSG_DONTWAIT, NULL, NULL));
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	receive_and_show("with data", connection.us, 8, MSG_DONTWAIT);
	set_nonblocking(connection.us, true);
	outcome("read, non-blocking", read(connection.us, buffer, 8));
	outcome("recv, non-blocking", recv(connection.us, buffer, 8, 0));
	close(connection.them);
	await(connection.us, POLLIN);
	receive_and_show("at the end", connection.us, 8, MSG_DONTWAIT);
	close(connection.us);
}

static void case_trunc(void)
{
	struct connection connection = open_connection();
	int left = -1;

	send_all(connection.them, "hello world", 11);
	await_bytes(connection.us, 11);
	receive_and_show("discard 6", connection.us, 6, MSG_TRUNC);
	outcome("FIONREAD", ioctl(connection.us, FIONREAD, &left));
	note("left: %d", left);
	outcome("discard without a buffer", recv(connection.us, NULL, 2, MSG_TRUNC));
	receive_and_show("peek and trunc", connection.us, 40, MSG_TRUNC | MSG_PEEK);
	receive_and_show("take the rest", connection.us, 40, 0);
	receive_and_show("nothing left", connection.us, 40, MSG_TRUNC | MSG_DONTWAIT);
	close_connection(connection);
}

static void case_urgent_refused(void)
{
	struct connection connection = open_connection();

	receive_and_show("no urgent data", connection.us, 1, MSG_OOB);
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	receive_and_show("no urgent data, but other", connection.us, 1, MSG_OOB);
	receive_and_show("the other", connection.us, 8, 0);
	receive_and_show("the error queue is empty", connection.us, 8, MSG_ERRQUEUE);
	close_connection(connection);
}

static void case_end(void)
{
	struct connection connection = open_connection();

	send_abc(connection.them);
	close(connection.them);
	await(connection.us, POLLIN | POLLRDHUP);
	receive_and_show("the data", connection.us, 8, 0);
	receive_and_show("the end", connection.us, 8, 0);
	receive_and_show("the end stays", connection.us, 8, 0);
	close(connection.us);
}

static void case_reset(void)
{
	struct connection connection = open_connection();
	int error = -1;
	socklen_t length = sizeof(error);

	reset(connection.them);
	await(connection.us, POLLERR);
	receive_and_show("reset", connection.us, 8, 0);
	receive_and_show("reported once", connection.us, 8, 0);
	outcome("SO_ERROR", getsockopt(connection.us, SOL_SOCKET, SO_ERROR, &error, &length));
	note("error %s", errno_name(error));
	close(connection.us);

	connection = open_connection();
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	reset(connection.them);
	await(connection.us, POLLERR);
	receive_and_show("data before the reset", connection.us, 8, 0);
	receive_and_show("then the reset", connection.us, 8, 0);
	receive_and_show("then the end", connection.us, 8, 0);
	close(connection.us);
}

/* The part is what the call returns; what has ended it stays for the next one. */
static void reset_behind_a_part(const char *name, int low, int flags)
{
	struct connection connection = open_talking();
	struct pollfd entry = { .fd = connection.us, .events = POLLIN };
	pthread_t thread;

	note("%s", name);
	must("SO_RCVLOWAT", setsockopt(connection.us, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	thread = later(100, reset, connection.them);
	receive_and_show("a part", connection.us, 6, flags);
	join(thread);
	outcome("poll", poll(&entry, 1, 0));
	note("%s", poll_bits((unsigned short)entry.revents));
	if (flags & MSG_PEEK)
		receive_and_show("what was peeked at", connection.us, 6, flags & ~MSG_PEEK);
	receive_and_show("then the reset", connection.us, 6, flags);
	receive_and_show("then the end", connection.us, 6, flags);
	close(connection.us);
}

static void case_reset_behind_a_part(void)
{
	reset_behind_a_part("WAITALL", 1, MSG_WAITALL);
	reset_behind_a_part("peek, WAITALL", 1, MSG_WAITALL | MSG_PEEK);
	reset_behind_a_part("a mark", 5, 0);
}

static void send_part_then_reset(int fd)
{
	send_abc(fd);
	settle();
	reset(fd);
}

/* The part comes while the call waits already, and so does the reset. */
static void case_reset_behind_parts(void)
{
	struct connection connection = open_talking();
	int error = -1;
	socklen_t length = sizeof(error);
	pthread_t thread;

	send_abc(connection.them);
	await_bytes(connection.us, 3);
	thread = later(100, send_part_then_reset, connection.them);
	receive_and_show("two parts", connection.us, 40, MSG_WAITALL);
	join(thread);
	outcome("SO_ERROR", getsockopt(connection.us, SOL_SOCKET, SO_ERROR, &error, &length));
	note("error %s", errno_name(error));
	receive_and_show("then the end", connection.us, 6, 0);
	close(connection.us);
}

static void case_names(void)
{
	struct connection connection = open_connection();
	char buffer[8] = { 0 }, control[64];
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);

	memset(&from, 0x5a, sizeof(from));
	send_all(connection.them, "abcdef", 6);
	await_bytes(connection.us, 6);
	outcome("recvfrom",
		recvfrom(connection.us, buffer, 2, 0, (struct sockaddr *)&from, &length));
	note("length %u, family %x", length, from.ss_family);

	struct iovec iov = { .iov_base = buffer, .iov_len = 2 };
	struct msghdr header = { .msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control),
				 .msg_flags = -1 };

	outcome("recvmsg", recvmsg(connection.us, &header, 0));
	note("name %u, control %zu, flags %x", header.msg_namelen, header.msg_controllen,
	     (unsigned)header.msg_flags);
	show("data", buffer, 2);
	header.msg_iovlen = 0;
	outcome("recvmsg into nothing", recvmsg(connection.us, &header, MSG_DONTWAIT));
	receive_and_show("the rest", connection.us, 8, 0);
	close_connection(connection);
}

static void case_vectors(void)
{
	static struct iovec many[IOV_MAX + 1];
	static char bytes[IOV_MAX + 1];
	struct connection connection = open_connection();
	char a[3] = { 0 }, b[4] = { 0 };
	struct iovec iov[] = { { NULL, 0 }, { a, 2 }, { NULL, 0 }, { b, 3 }, { a, 0 } };
	volatile int minus_one = -1; /* the compiler warns of the constant */
	struct msghdr header = { .msg_iov = many, .msg_iovlen = IOV_MAX + 1 };

	send_all(connection.them, "abcdefgh", 8);
	await_bytes(connection.us, 8);
	outcome("readv with empty parts", readv(connection.us, iov, 5));
	show("a", a, 2);
	show("b", b, 3);
	outcome("readv of no parts", readv(connection.us, iov, 0));
	outcome("readv of -1 parts", readv(connection.us, iov, minus_one));
	for (int i = 0; i < IOV_MAX + 1; i++)
		many[i] = (struct iovec){ .iov_base = bytes + i, .iov_len = 1 };
	outcome("readv of IOV_MAX + 1 parts", readv(connection.us, many, IOV_MAX + 1));
	outcome("recvmsg of IOV_MAX + 1 parts", recvmsg(connection.us, &header, MSG_DONTWAIT));
	outcome("readv of IOV_MAX parts", readv(connection.us, many, IOV_MAX));
	show("bytes", bytes, 4);
	iov[1].iov_len = (size_t)-1;
	outcome("readv of a negative length", readv(connection.us, iov, 2));
	set_nonblocking(connection.us, true);
	outcome("readv, only empty parts", readv(connection.us, iov, 1));
	outcome("readv, nothing there", readv(connection.us, iov + 3, 1));
	close_connection(connection);
}

static void case_zero_length(void)
{
	struct connection connection = open_connection();
	char buffer[8] = { 0 };

	outcome("read 0, nothing there", read(connection.us, buffer, 0));
	outcome("read 0 to NULL", read(connection.us, NULL, 0));
	outcome("recv 0, nothing there", recv(connection.us, buffer, 0, MSG_DONTWAIT));
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	outcome("read 0 with data", read(connection.us, buffer, 0));
	outcome("recv 0 with data", recv(connection.us, buffer, 0, 0));
	outcome("peek 0 with data", recv(connection.us, buffer, 0, MSG_PEEK));
	receive_and_show("the data is still there", connection.us, 8, 0);
	close(connection.them);
	await(connection.us, POLLIN);
	outcome("read 0 at the end", read(connection.us, buffer, 0));
	outcome("recv 0 at the end", recv(connection.us, buffer, 0, 0));
	close(connection.us);
}

/* Who waits for nothing gets it when the time is over; who does not wait is told to. */
static void case_zero_length_in_time(void)
{
	struct timeval time = { .tv_usec = 20000 };
	struct connection connection = open_talking();
	struct msghdr header = { 0 };
	char byte;

	outcome("SO_RCVTIMEO",
		setsockopt(connection.us, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)));
	outcome("recv", recv(connection.us, &byte, 0, 0));
	outcome("recv all", recv(connection.us, &byte, 0, MSG_WAITALL));
	outcome("peek", recv(connection.us, &byte, 0, MSG_PEEK));
	outcome("recvmsg", recvmsg(connection.us, &header, 0));
	outcome("recv at once", recv(connection.us, &byte, 0, MSG_DONTWAIT));
	outcome("recv one", recv(connection.us, &byte, 1, 0));
	close_connection(connection);
}

/* The kernel tells the flag, although no descriptor comes by TCP. */
static void case_flag_told(void)
{
	struct connection connection = open_talking();
	char bytes[4];
	struct iovec part = { bytes, 2 };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	struct mmsghdr message = { .msg_hdr = header };

	send_all(connection.them, "four", 4);
	await_bytes(connection.us, 4);
	outcome("recvmsg", recvmsg(connection.us, &header, MSG_CMSG_CLOEXEC));
	note("flags 0x%x", (unsigned)header.msg_flags);
	outcome("recvmmsg", recvmmsg(connection.us, &message, 1, MSG_CMSG_CLOEXEC, NULL));
	note("flags 0x%x", (unsigned)message.msg_hdr.msg_flags);
	close_connection(connection);
}

static void case_bad_pointers(void)
{
	struct connection connection = open_connection();
	char buffer[8] = { 0 };
	struct iovec iov[] = { { buffer, 2 }, { bad_pointer(), 4 } };
	socklen_t length = 16;

	send_all(connection.them, "abcdefgh", 8);
	await_bytes(connection.us, 8);
	outcome("read to a bad pointer", read(connection.us, bad_pointer(), 4));
	outcome("recv to a bad pointer", recv(connection.us, bad_pointer(), 4, 0));
	outcome("recvmsg of a bad pointer", recvmsg(connection.us, bad_pointer(), 0));
	outcome("readv of a bad vector", readv(connection.us, bad_pointer(), 2));
	outcome("readv, second part bad", readv(connection.us, iov, 2));
	receive_and_show("nothing was lost after it", connection.us, 2, 0);
	outcome("recvfrom, bad length pointer",
		recvfrom(connection.us, buffer, 1, 0, (struct sockaddr *)buffer, bad_pointer()));
	outcome("recvfrom, bad address",
		recvfrom(connection.us, buffer, 1, 0, bad_pointer(), &length));
	receive_and_show("the rest", connection.us, 8, MSG_DONTWAIT);
	close_connection(connection);
}

static void case_low_water(void)
{
	struct connection connection = open_connection();
	struct pollfd entry = { .fd = connection.us, .events = POLLIN };
	int low = 6;
	pthread_t thread;

	outcome("SO_RCVLOWAT",
		setsockopt(connection.us, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	outcome("poll below the mark", poll(&entry, 1, 0));
	receive_and_show("DONTWAIT below the mark", connection.us, 8, MSG_DONTWAIT);
	/* Not begun with less than the mark: Linux then takes that and waits for a mark more. */
	thread = later(100, send_abc_then_def, connection.them);
	receive_and_show("waits for the mark", connection.us, 8, 0);
	join(thread);
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	receive_and_show("a shorter length is enough", connection.us, 2, 0);
	thread = later(100, close_it, connection.them);
	receive_and_show("the end is enough", connection.us, 8, 0);
	join(thread);
	close(connection.us);
}

static const char *to_send;
static size_t to_send_size;

static void send_what_there_is(int fd)
{
	send_all(fd, to_send, to_send_size);
}

static void send_six(int fd)
{
	send_all(fd, "ghijkl", 6);
}

/* What is there is taken at once, and then the call waits for a mark more, or its time is over. */
static void case_below_low_water(void)
{
	struct connection connection = open_connection();
	struct timeval limit = { .tv_usec = 100000 };
	int low = 6;
	int64_t start;
	pthread_t thread;

	setsockopt(connection.us, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	thread = later(100, send_six, connection.them);
	receive_and_show("begins below the mark", connection.us, 9, 0);
	join(thread);
	setsockopt(connection.us, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	start = now_ms();
	receive_and_show("the time is over", connection.us, 8, 0);
	note_duration("it", now_ms() - start, 90, INT64_MAX);
	send_abc(connection.them);
	await_bytes(connection.us, 3);
	receive_and_show("DONTWAIT", connection.us, 8, MSG_DONTWAIT);
	close_connection(connection);
}

/*
 * Less fits the window than the mark wants: a full window is enough, or neither side would ever go
 * on.
 */
static void case_low_water_above_the_window(void)
{
	static char block[30000];
	int theirs = their_listener(5), low = 20000, clamp = 8000;
	struct address address = name_of(theirs);
	struct connection connection = { .us = open_socket(0) };
	struct pollfd entry = { .fd = connection.us, .events = POLLIN };
	pthread_t thread;

	must("TCP_WINDOW_CLAMP",
	     setsockopt(connection.us, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, sizeof(clamp)));
	must("connect",
	     connect(connection.us, (struct sockaddr *)&address.storage, address.length));
	connection.them = accept_one(theirs);
	must("SO_RCVLOWAT", setsockopt(connection.us, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	to_send = block;
	to_send_size = sizeof(block);
	thread = later(0, send_what_there_is, connection.them);
	outcome("poll", poll(&entry, 1, 10000));
	outcome("all of it", recv(connection.us, block, sizeof(block), MSG_WAITALL));
	join(thread);
	close_connection(connection);
	close(theirs);
}

/* A window that was never larger is not a full one. */
static void case_low_water_in_a_small_buffer(void)
{
	static const char block[1000];
	int theirs = their_listener(5), low = 1000, size = 4096;
	struct address address = name_of(theirs);
	struct connection connection = { .us = open_socket(0) };
	struct pollfd entry = { .fd = connection.us, .events = POLLIN };

	must("SO_RCVBUF", setsockopt(connection.us, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)));
	must("connect",
	     connect(connection.us, (struct sockaddr *)&address.storage, address.length));
	connection.them = accept_one(theirs);
	must("SO_RCVLOWAT", setsockopt(connection.us, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	outcome("one byte", send(connection.them, block, 1, 0));
	outcome("poll", poll(&entry, 1, 300));
	outcome("more", send(connection.them, block, 999, 0));
	outcome("poll", poll(&entry, 1, 10000));
	close_connection(connection);
	close(theirs);
}

static void case_bulk(void)
{
	enum { SIZE = 300000 };
	static char sent[SIZE], got[SIZE];
	struct connection connection = open_connection();
	size_t there = 0;

	for (int i = 0; i < SIZE; i++)
		sent[i] = (char)(i * 31 + i / 251);
	set_nonblocking(connection.them, true);
	for (size_t out = 0; there < SIZE;) {
		ssize_t n = out < SIZE ? send(connection.them, sent + out, SIZE - out, 0) : 0;

		if (n > 0)
			out += (size_t)n;
		n = recv(connection.us, got + there, SIZE - there, MSG_DONTWAIT);
		if (n > 0)
			there += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			break;
	}
	show("sent", sent, SIZE);
	show("got", got, (long)there);
	close_connection(connection);
}

static void case_not_connected(void)
{
	int fd = open_socket(0);
	char byte;

	outcome("recv, fresh", recv(fd, &byte, 1, 0));
	outcome("read, fresh", read(fd, &byte, 1));
	outcome("read 0, fresh", read(fd, &byte, 0));
	outcome("peek, fresh", recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
	close(fd);
	fd = our_listener(1);
	outcome("recv, listener", recv(fd, &byte, 1, 0));
	outcome("read, listener", read(fd, &byte, 1));
	close(fd);
	outcome("recv, closed", recv(fd, &byte, 1, 0));
	outcome("read, closed", read(fd, &byte, 1));
	outcome("recv, -1", recv(-1, &byte, 1, 0));
}

static void case_positions(void)
{
	struct connection connection = open_connection();
	char buffer[4];
	struct iovec iov = { buffer, 4 };

	outcome("pread", pread(connection.us, buffer, 4, 0));
	outcome("pwrite", pwrite(connection.us, "abc", 3, 0));
	outcome("preadv", preadv(connection.us, &iov, 1, 0));
	outcome("lseek", lseek(connection.us, 0, SEEK_CUR));
	outcome("ftruncate", ftruncate(connection.us, 0));
	outcome("fsync", fsync(connection.us));
	close_connection(connection);
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
	outcome("came through", got >= size ? size : got);
}

static void case_small_buffer(void)
{
	static const int sizes[] = { 1, 4096, 10000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int listener = our_listener(5), theirs = their_listener(5);
		struct address ours = name_of(listener), address = name_of(theirs);
		struct connection connection = { .us = open_socket(0) };

		note("SO_RCVBUF %d", sizes[i]);
		must("SO_RCVBUF",
		     setsockopt(connection.us, SOL_SOCKET, SO_RCVBUF, &sizes[i], sizeof(sizes[i])));
		must("connect",
		     connect(connection.us, (struct sockaddr *)&address.storage, address.length));
		connection.them = accept_one(theirs);
		through_small_buffer(connection.them, connection.us);
		close_connection(connection);
		must("SO_RCVBUF",
		     setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &sizes[i], sizeof(sizes[i])));
		connection.them = them_connect(&ours);
		connection.us = accept_one(listener);
		through_small_buffer(connection.them, connection.us);
		close_connection(connection);
		close(listener);
		close(theirs);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "peek", case_peek, 0 },
		{ "wait all", case_wait_all, 0 },
		{ "negative limit", case_negative_limit, 0 },
		{ "dont wait", case_dont_wait, 0 },
		{ "trunc", case_trunc, 0 },
		{ "no urgent data", case_urgent_refused, 0 },
		{ "end", case_end, 0 },
		{ "reset", case_reset, 0 },
		{ "reset behind a part", case_reset_behind_a_part, 0 },
		{ "reset behind parts", case_reset_behind_parts, 0 },
		{ "names", case_names, 0 },
		{ "vectors", case_vectors, 0 },
		{ "zero length", case_zero_length, 0 },
		{ "zero length in time", case_zero_length_in_time, 0 },
		{ "flag told", case_flag_told, 0 },
		{ "bad pointers", case_bad_pointers, 0 },
		{ "low water", case_low_water, 0 },
		{ "below low water", case_below_low_water, 0 },
		{ "low water above the window", case_low_water_above_the_window, 0 },
		{ "low water in a small buffer", case_low_water_in_a_small_buffer, 0 },
		{ "bulk", case_bulk, 0 },
		{ "small buffer", case_small_buffer, 60 },
		{ "not connected", case_not_connected, 0 },
		{ "positions", case_positions, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
