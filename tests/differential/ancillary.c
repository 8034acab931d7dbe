/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: what comes beside the data. When it came (SO_TIMESTAMP and its kin), how much
 * more there is (TCP_INQ), and how control messages are cut.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/net_tstamp.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define TIMES (SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE)

/*
 * SOF_TIMESTAMPING_SOFTWARE alone is left out: then the kernel tells the time if any other socket
 * of the machine wants it noted.
 */
static const struct way {
	const char *text;
	int name, value;
} ways[] = {
	{ "SO_TIMESTAMP_OLD", SO_TIMESTAMP_OLD, 1 },
	{ "SO_TIMESTAMP_NEW", SO_TIMESTAMP_NEW, 1 },
	{ "SO_TIMESTAMPNS_OLD", SO_TIMESTAMPNS_OLD, 1 },
	{ "SO_TIMESTAMPNS_NEW", SO_TIMESTAMPNS_NEW, 1 },
	{ "SO_TIMESTAMPING_OLD", SO_TIMESTAMPING_OLD, TIMES },
	{ "SO_TIMESTAMPING_NEW", SO_TIMESTAMPING_NEW, TIMES },
	{ "SO_TIMESTAMPING_OLD, receiving only", SO_TIMESTAMPING_OLD,
	  SOF_TIMESTAMPING_RX_SOFTWARE },
	{ "SO_TIMESTAMPING_OLD, hardware", SO_TIMESTAMPING_OLD,
	  SOF_TIMESTAMPING_RAW_HARDWARE | SOF_TIMESTAMPING_RX_HARDWARE },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void set(int fd, int level, int name, int value)
{
	must("setsockopt", setsockopt(fd, level, name, &value, sizeof(value)));
}

/* All of them begin with seconds; a fraction follows. */
static const char *judge_time(const void *data)
{
	struct timespec then, now;

	memcpy(&then, data, sizeof(then));
	clock_gettime(CLOCK_REALTIME, &now);
	if (!then.tv_sec)
		return "none";
	return llabs((long long)(now.tv_sec - then.tv_sec)) < 10 ? "now" : "another time";
}

static void show_controls(struct msghdr *message)
{
	for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each;
	     each = CMSG_NXTHDR(message, each)) {
		int number;

		if (each->cmsg_level == SOL_SOCKET && each->cmsg_len >= CMSG_LEN(16)) {
			note("  socket, %d, %zu bytes: %s", each->cmsg_type, each->cmsg_len,
			     judge_time(CMSG_DATA(each)));
			continue;
		}
		memcpy(&number, CMSG_DATA(each), sizeof(number));
		note("  %d, %d, %zu bytes: %d", each->cmsg_level, each->cmsg_type, each->cmsg_len,
		     number);
	}
}

static void take(int fd, size_t size, size_t room, int flags)
{
	char data[64], control[256] = { 0 };
	struct iovec iov = { data, size };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = room ? control : NULL,
				  .msg_controllen = room };

	outcome("recvmsg", recvmsg(fd, &message, flags));
	note("control %zu, flags %x", message.msg_controllen, (unsigned)message.msg_flags);
	show_controls(&message);
}

static void case_times(void)
{
	for (size_t i = 0; i < WAYS; i++) {
		struct connection connection = open_connection();

		note("%s", ways[i].text);
		set(connection.us, SOL_SOCKET, ways[i].name, ways[i].value);
		settle();
		send_all(connection.them, "hello", 5);
		await_bytes(connection.us, 5);
		take(connection.us, 2, 200, MSG_PEEK);
		take(connection.us, 2, 200, 0);
		take(connection.us, 10, 200, 0);
		outcome("off", setsockopt(connection.us, SOL_SOCKET, ways[i].name, &(int){ 0 },
					  sizeof(int)));
		send_all(connection.them, "again", 5);
		await_bytes(connection.us, 5);
		take(connection.us, 10, 200, 0);
		close_connection(connection);
	}
}

/* The last one set decides, but SO_TIMESTAMPING comes beside. */
static void case_several(void)
{
	for (size_t i = 0; i < 6; i++) {
		for (size_t j = 0; j < 6; j++) {
			struct connection connection = open_connection();

			note("%s, %s", ways[i].text, ways[j].text);
			set(connection.us, SOL_SOCKET, ways[i].name, ways[i].value);
			set(connection.us, SOL_SOCKET, ways[j].name, ways[j].value);
			settle();
			send_all(connection.them, "x", 1);
			await_bytes(connection.us, 1);
			take(connection.us, 10, 200, 0);
			close_connection(connection);
		}
	}
}

static void case_little_room(void)
{
	static const size_t rooms[] = { 0, 8, 16, 20, 24, 32, 40, 80, 88, 100 };
	struct connection connection = open_connection();

	set(connection.us, SOL_SOCKET, SO_TIMESTAMP_OLD, 1);
	set(connection.us, SOL_SOCKET, SO_TIMESTAMPING_OLD, TIMES);
	set(connection.us, IPPROTO_TCP, TCP_INQ, 1);
	settle();
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		note("room for %zu", rooms[i]);
		send_all(connection.them, "x", 1);
		await_bytes(connection.us, 1);
		char data[8], control[128] = { 0 };
		struct iovec iov = { data, sizeof(data) };
		struct msghdr message = { .msg_iov = &iov,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = rooms[i] };
		outcome("recvmsg", recvmsg(connection.us, &message, 0));
		note("control %zu, flags %x", message.msg_controllen, (unsigned)message.msg_flags);
	}
	close_connection(connection);
}

static void case_more_to_read(void)
{
	struct connection connection = open_connection();

	set(connection.us, IPPROTO_TCP, TCP_INQ, 1);
	send_all(connection.them, "0123456789", 10);
	await_bytes(connection.us, 10);
	take(connection.us, 3, 100, MSG_PEEK);
	take(connection.us, 3, 100, 0);
	take(connection.us, 7, 100, 0);
	take(connection.us, 1, 100, MSG_DONTWAIT);
	send_all(connection.them, "xyz", 3);
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	take(connection.us, 1, 100, MSG_PEEK);
	take(connection.us, 2, 100, 0);
	take(connection.us, 1, 100, 0);
	take(connection.us, 1, 100, 0);
	take(connection.us, 1, 0, 0);
	close_connection(connection);
}

/* It counts as one more byte, but neither does a reset nor that nothing more is wanted. */
static void case_no_end(void)
{
	struct connection connection = open_talking();

	set(connection.us, IPPROTO_TCP, TCP_INQ, 1);
	send_all(connection.them, "0123456789", 10);
	await_bytes(connection.us, 10);
	must("shutdown", shutdown(connection.us, SHUT_RD));
	note("nothing more is wanted");
	take(connection.us, 3, 100, 0);
	take(connection.us, 7, 100, 0);
	take(connection.us, 1, 100, 0);
	shutdown(connection.them, SHUT_WR);
	settle();
	note("the end");
	take(connection.us, 1, 100, 0);
	close_connection(connection);

	connection = open_talking();
	set(connection.us, IPPROTO_TCP, TCP_INQ, 1);
	send_all(connection.them, "0123456789", 10);
	await_bytes(connection.us, 10);
	reset(connection.them);
	await(connection.us, POLLERR);
	note("reset");
	take(connection.us, 3, 100, 0);
	take(connection.us, 7, 100, 0);
	take(connection.us, 1, 100, 0);
	take(connection.us, 1, 100, 0);
	close(connection.us);

	connection = open_talking();
	set(connection.us, IPPROTO_TCP, TCP_INQ, 1);
	send_all(connection.them, "0123456789", 10);
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	reset(connection.them);
	settle();
	note("the end, and reset");
	take(connection.us, 3, 100, 0);
	take(connection.us, 7, 100, 0);
	take(connection.us, 1, 100, 0);
	close(connection.us);
}

static void case_before_the_flow(void)
{
	int listener = their_listener(1), fd = open_socket(0), peer;
	struct address address = name_of(listener);

	set(fd, SOL_SOCKET, SO_TIMESTAMPNS_OLD, 1);
	set(fd, IPPROTO_TCP, TCP_INQ, 1);
	must("connect", connect(fd, (struct sockaddr *)&address.storage, address.length));
	peer = accept_one(listener);
	settle();
	send_all(peer, "hello", 5);
	await_bytes(fd, 5);
	take(fd, 2, 200, 0);
	close(fd);
	close(peer);
	close(listener);
}

static void case_inherited(void)
{
	int listener = our_listener(1), fd, peer;
	struct address address = name_of(listener);

	set(listener, SOL_SOCKET, SO_TIMESTAMP_OLD, 1);
	set(listener, IPPROTO_TCP, TCP_INQ, 1);
	first_use(listener);
	peer = them_connect(&address);
	fd = accept_one(listener);
	settle();
	send_all(peer, "hello", 5);
	await_bytes(fd, 5);
	take(fd, 2, 200, 0);
	close(fd);
	close(peer);
	close(listener);
}

static void case_many_messages(void)
{
	struct connection connection = open_connection();
	char data[3][4], control[3][100] = { { 0 } };
	struct iovec iov[3];
	struct mmsghdr messages[3] = { 0 };

	set(connection.us, SOL_SOCKET, SO_TIMESTAMP_OLD, 1);
	set(connection.us, IPPROTO_TCP, TCP_INQ, 1);
	settle();
	send_all(connection.them, "0123456789", 10);
	await_bytes(connection.us, 10);
	for (int i = 0; i < 3; i++) {
		iov[i] = (struct iovec){ data[i], 4 };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
						       .msg_iovlen = 1,
						       .msg_control = control[i],
						       .msg_controllen = 100 };
	}
	outcome("recvmmsg", recvmmsg(connection.us, messages, 3, MSG_DONTWAIT, NULL));
	for (int i = 0; i < 3; i++)
		show_controls(&messages[i].msg_hdr);
	close_connection(connection);
}

static void give(int fd, const char *name, int level, int type, size_t size, const void *data,
		 size_t length)
{
	char byte = 'x';
	struct iovec iov = { &byte, 1 };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(16)];
	} control = { .room = { 0 } };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(size) };

	control.header.cmsg_level = level;
	control.header.cmsg_type = type;
	control.header.cmsg_len = length ? length : CMSG_LEN(size);
	if (data)
		memcpy(CMSG_DATA(&control.header), data, size);
	outcome(name, sendmsg(fd, &message, MSG_NOSIGNAL));
}

static void case_sending(void)
{
	struct connection connection = open_connection();
	int number = 5, none = 0, odd = SOF_TIMESTAMPING_RX_SOFTWARE, fd = open("/dev/null", 0);
	struct msghdr bad = { .msg_control = bad_pointer(), .msg_controllen = 32 };

	give(connection.us, "priority", SOL_SOCKET, SO_PRIORITY, 4, &number, 0);
	give(connection.us, "mark", SOL_SOCKET, SO_MARK, 4, &number, 0);
	give(connection.us, "mark, short", SOL_SOCKET, SO_MARK, 2, &number, 0);
	give(connection.us, "no times", SOL_SOCKET, SO_TIMESTAMPING_OLD, 4, &none, 0);
	give(connection.us, "other times", SOL_SOCKET, SO_TIMESTAMPING_OLD, 4, &odd, 0);
	give(connection.us, "times, long", SOL_SOCKET, SO_TIMESTAMPING_OLD, 8, NULL, 0);
	give(connection.us, "descriptors", SOL_SOCKET, SCM_RIGHTS, 4, &fd, 0);
	give(connection.us, "credentials", SOL_SOCKET, SCM_CREDENTIALS, 12, NULL, 0);
	give(connection.us, "unknown", SOL_SOCKET, 77, 4, &number, 0);
	give(connection.us, "of TCP", IPPROTO_TCP, 77, 4, &number, 0);
	give(connection.us, "of IP", IPPROTO_IP, IP_TTL, 4, &number, 0);
	give(connection.us, "longer than the buffer", SOL_SOCKET, SO_PRIORITY, 4, &number, 100);
	give(connection.us, "shorter than its header", SOL_SOCKET, SO_PRIORITY, 4, &number, 3);
	outcome("bad pointer", sendmsg(connection.us, &bad, 0));
	close(fd);
	close_connection(connection);
}

/* There is no word of a control message for which the memory is bad. */
static void case_bad_control(void)
{
	struct connection connection = open_talking();
	char data[8];
	struct iovec iov = { data, 2 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = bad_pointer(),
				  .msg_controllen = 100 };

	set(connection.us, IPPROTO_TCP, TCP_INQ, 1);
	send_all(connection.them, "hello", 5);
	await_bytes(connection.us, 5);
	outcome("recvmsg", recvmsg(connection.us, &message, 0));
	note("flags %#x, %zu bytes", message.msg_flags, message.msg_controllen);
	take(connection.us, 8, 200, 0);
	close_connection(connection);
}

/* What came before a connection ends is still told with its time. */
static void case_times_at_the_end(void)
{
	struct connection connection = open_talking();

	set(connection.us, SOL_SOCKET, SO_TIMESTAMP_OLD, 1);
	talk_a_while(connection);
	send_all(connection.them, "hello", 5);
	await_bytes(connection.us, 5);
	take(connection.us, 2, 200, MSG_PEEK);
	shutdown(connection.them, SHUT_WR);
	await(connection.us, POLLRDHUP);
	take(connection.us, 2, 200, 0);
	take(connection.us, 8, 200, 0);
	close_connection(connection);
}

/*
 * The kernel notes when packets come while any socket of the machine wants to know, and begins a
 * while after the first one does, in a work queue. So one socket wants to know all along, and what
 * it is told is waited for.
 */
static void await_times(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int fd = fcntl(socket(AF_INET, SOCK_DGRAM, 0), F_DUPFD, 600);
	int64_t end = now_ms() + 10000;
	char control[256], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };

	must("bind", bind(fd, (struct sockaddr *)&address, length));
	must("getsockname", getsockname(fd, (struct sockaddr *)&address, &length));
	must("connect", connect(fd, (struct sockaddr *)&address, length));
	set(fd, SOL_SOCKET, SO_TIMESTAMPING_OLD, TIMES);
	do {
		if (now_ms() > end)
			broken("the kernel does not note when packets come");
		must("send", send(fd, "x", 1, 0));
		message.msg_controllen = sizeof(control);
		must("recvmsg", recvmsg(fd, &message, 0));
	} while (!message.msg_controllen);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "times", case_times, 0 },
		{ "several", case_several, 0 },
		{ "little room", case_little_room, 0 },
		{ "more to read", case_more_to_read, 0 },
		{ "no end", case_no_end, 0 },
		{ "before the flow", case_before_the_flow, 0 },
		{ "inherited", case_inherited, 0 },
		{ "many messages", case_many_messages, 0 },
		{ "sending", case_sending, 0 },
		{ "bad control", case_bad_control, 0 },
		{ "times at the end", case_times_at_the_end, 0 },
	};

	await_times();
	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
