/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Differential cases: what comes beside the data. When it came (SO_TIMESTAMP and its kin), how much
 * more there is (TCP_INQ), and how control messages are cut.
 */
#include "step.h"

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

	step("recvmsg", recvmsg(fd, &message, flags));
	note("control %zu, flags %x", message.msg_controllen, (unsigned)message.msg_flags);
	show_controls(&message);
}

static void case_times(void)
{
	for (size_t i = 0; i < WAYS; i++) {
		struct pair pair = open_pair();

		note("%s", ways[i].text);
		set(pair.us, SOL_SOCKET, ways[i].name, ways[i].value);
		settle(); /* the kernel begins a little later */
		send_all(pair.them, "hello", 5);
		await_bytes(pair.us, 5);
		take(pair.us, 2, 200, MSG_PEEK);
		take(pair.us, 2, 200, 0);
		take(pair.us, 10, 200, 0);
		step("off",
		     setsockopt(pair.us, SOL_SOCKET, ways[i].name, &(int){ 0 }, sizeof(int)));
		send_all(pair.them, "again", 5);
		await_bytes(pair.us, 5);
		take(pair.us, 10, 200, 0);
		close_pair(pair);
	}
}

/* The last one set decides, but SO_TIMESTAMPING comes beside. */
static void case_several(void)
{
	for (size_t i = 0; i < 6; i++) {
		for (size_t j = 0; j < 6; j++) {
			struct pair pair = open_pair();

			note("%s, %s", ways[i].text, ways[j].text);
			set(pair.us, SOL_SOCKET, ways[i].name, ways[i].value);
			set(pair.us, SOL_SOCKET, ways[j].name, ways[j].value);
			settle();
			send_all(pair.them, "x", 1);
			await_bytes(pair.us, 1);
			take(pair.us, 10, 200, 0);
			close_pair(pair);
		}
	}
}

static void case_little_room(void)
{
	static const size_t rooms[] = { 0, 8, 16, 20, 24, 32, 40, 80, 88, 100 };
	struct pair pair = open_pair();

	set(pair.us, SOL_SOCKET, SO_TIMESTAMP_OLD, 1);
	set(pair.us, SOL_SOCKET, SO_TIMESTAMPING_OLD, TIMES);
	set(pair.us, IPPROTO_TCP, TCP_INQ, 1);
	settle();
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		note("room for %zu", rooms[i]);
		send_all(pair.them, "x", 1);
		await_bytes(pair.us, 1);
		char data[8], control[128] = { 0 };
		struct iovec iov = { data, sizeof(data) };
		struct msghdr message = { .msg_iov = &iov,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = rooms[i] };
		step("recvmsg", recvmsg(pair.us, &message, 0));
		note("control %zu, flags %x", message.msg_controllen, (unsigned)message.msg_flags);
	}
	close_pair(pair);
}

static void case_more_to_read(void)
{
	struct pair pair = open_pair();

	set(pair.us, IPPROTO_TCP, TCP_INQ, 1);
	send_all(pair.them, "0123456789", 10);
	await_bytes(pair.us, 10);
	take(pair.us, 3, 100, MSG_PEEK);
	take(pair.us, 3, 100, 0);
	take(pair.us, 7, 100, 0);
	take(pair.us, 1, 100, MSG_DONTWAIT);
	send_all(pair.them, "x", 1);
	shutdown(pair.them, SHUT_WR);
	await(pair.us, POLLRDHUP);
	take(pair.us, 1, 100, 0);
	take(pair.us, 1, 100, 0);
	take(pair.us, 1, 0, 0);
	close_pair(pair);
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
	struct pair pair = open_pair();
	char data[3][4], control[3][100] = { { 0 } };
	struct iovec iov[3];
	struct mmsghdr messages[3] = { 0 };

	set(pair.us, SOL_SOCKET, SO_TIMESTAMP_OLD, 1);
	set(pair.us, IPPROTO_TCP, TCP_INQ, 1);
	settle();
	send_all(pair.them, "0123456789", 10);
	await_bytes(pair.us, 10);
	for (int i = 0; i < 3; i++) {
		iov[i] = (struct iovec){ data[i], 4 };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i],
						       .msg_iovlen = 1,
						       .msg_control = control[i],
						       .msg_controllen = 100 };
	}
	step("recvmmsg", recvmmsg(pair.us, messages, 3, MSG_DONTWAIT, NULL));
	for (int i = 0; i < 3; i++)
		show_controls(&messages[i].msg_hdr);
	close_pair(pair);
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
	step(name, sendmsg(fd, &message, MSG_NOSIGNAL));
}

static void case_sending(void)
{
	struct pair pair = open_pair();
	int number = 5, none = 0, odd = SOF_TIMESTAMPING_RX_SOFTWARE, fd = open("/dev/null", 0);
	struct msghdr bad = { .msg_control = bad_pointer(), .msg_controllen = 32 };

	give(pair.us, "priority", SOL_SOCKET, SO_PRIORITY, 4, &number, 0);
	give(pair.us, "mark", SOL_SOCKET, SO_MARK, 4, &number, 0);
	give(pair.us, "mark, short", SOL_SOCKET, SO_MARK, 2, &number, 0);
	give(pair.us, "no times", SOL_SOCKET, SO_TIMESTAMPING_OLD, 4, &none, 0);
	give(pair.us, "other times", SOL_SOCKET, SO_TIMESTAMPING_OLD, 4, &odd, 0);
	give(pair.us, "times, long", SOL_SOCKET, SO_TIMESTAMPING_OLD, 8, NULL, 0);
	give(pair.us, "descriptors", SOL_SOCKET, SCM_RIGHTS, 4, &fd, 0);
	give(pair.us, "credentials", SOL_SOCKET, SCM_CREDENTIALS, 12, NULL, 0);
	give(pair.us, "unknown", SOL_SOCKET, 77, 4, &number, 0);
	give(pair.us, "of TCP", IPPROTO_TCP, 77, 4, &number, 0);
	give(pair.us, "of IP", IPPROTO_IP, IP_TTL, 4, &number, 0);
	give(pair.us, "longer than the buffer", SOL_SOCKET, SO_PRIORITY, 4, &number, 100);
	give(pair.us, "shorter than its header", SOL_SOCKET, SO_PRIORITY, 4, &number, 3);
	step("bad pointer", sendmsg(pair.us, &bad, 0));
	close(fd);
	close_pair(pair);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "times", case_times, 0 },
		{ "several", case_several, 0 },
		{ "little room", case_little_room, 0 },
		{ "more to read", case_more_to_read, 0 },
		{ "before the flow", case_before_the_flow, 0 },
		{ "inherited", case_inherited, 0 },
		{ "many messages", case_many_messages, 0 },
		{ "sending", case_sending, 0 },
	};

	return run_cases(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
