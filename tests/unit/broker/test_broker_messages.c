/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What clients send to melin-broker that libmelin.so would not: malformed messages, descriptors of
 * all kinds, floods. All the while another client has a connection borrowed, and gives it back in
 * the end. For what is as it should be see test_broker.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "broker/broker_protocol.h"
#include "broker/broker_start.h"
#include "broker/client.h"
#include "tests/unit/broker/broker_process.h"
#include "tests/unit/broker/ground.h"
#include "tests/unit/tap.h"

/* Messages in all, and on a channel unless the broker hangs up before. */
#define MESSAGES    6000
#define PER_CHANNEL 30

/* More than the broker's clients at a time (CLIENTS_MAX of melin_broker.c). */
#define CROWD 1100

static int door;
static pid_t broker;
static struct lender *good_lender;
static struct loan good_loan;
static struct connection_state good_state;
static struct ends good;

/* ---- chance ---- */

static uint64_t chance_state = 1;

/* Steele and Vigna's SplitMix: the same in each run, so that what fails can be repeated. */
static uint64_t chance(uint64_t below)
{
	uint64_t value = chance_state += 0x9e3779b97f4a7c15;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return (value ^ value >> 31) % below;
}

/* ---- channels without libmelin ---- */

static long send_raw(int to, const void *bytes, size_t size, const int *descriptors, unsigned count)
{
	char control[CMSG_SPACE(64 * sizeof(int))] = "";
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *header = (struct cmsghdr *)control;

	if (count > 0) {
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	return sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int open_channel(void)
{
	const struct broker_message message = { .version = BROKER_VERSION };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	while (send_raw(door, &message, sizeof(message), &pair[1], 1) < 0 && errno == EAGAIN)
		usleep(1000);
	close(pair[1]);
	return pair[0];
}

static bool send_request(int channel, struct broker_message request, int descriptor)
{
	request.version = BROKER_VERSION;
	return send_raw(channel, &request, sizeof(request), &descriptor, descriptor >= 0) > 0;
}

/* The answer's number; INT_MIN: the broker has hung up. */
static int32_t receive_answer(int channel)
{
	struct broker_message answer;
	struct pollfd ready = { .fd = channel, .events = POLLIN };

	if (poll(&ready, 1, 30000) != 1 ||
	    recv(channel, &answer, sizeof(answer), 0) != sizeof(answer))
		return INT_MIN;
	return answer.what;
}

static int32_t ask(int channel, struct broker_message request, int descriptor)
{
	return send_request(channel, request, descriptor) ? receive_answer(channel) : INT_MIN;
}

static int open_session(void)
{
	int channel = open_channel();

	if (ask(channel, (struct broker_message){ .what = BROKER_TAP }, -1) == REFUSAL_NONE)
		return channel;
	close(channel);
	return -1;
}

static bool hangs_up(int channel)
{
	struct pollfd ready = { .fd = channel, .events = POLLIN };
	char byte;

	while (poll(&ready, 1, 30000) == 1) {
		if (recv(channel, &byte, 1, MSG_DONTWAIT) <= 0)
			return true;
	}
	return false;
}

/* ---- malformed messages ---- */

/* Something that a client may have, of which few are connections. */
static int any_descriptor(int channel)
{
	int pair[2], file;

	switch (chance(10)) {
	case 0:
		return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	case 1:
		return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	case 2:
		return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 3:
		return fcntl(good.listener, F_DUPFD_CLOEXEC, 0);
	case 4:
		return fcntl(channel, F_DUPFD_CLOEXEC, 0);
	case 5:
		if (pipe2(pair, O_CLOEXEC) < 0)
			return -1;
		close(pair[1]);
		return pair[0];
	case 6:
		file = memfd_create("test", MFD_CLOEXEC);
		return ftruncate(file, (off_t)chance(1 << 20)) ? file : file;
	case 7:
		return open("/proc", O_PATH | O_CLOEXEC);
	case 8:
		return fcntl(good.peer, F_DUPFD_CLOEXEC, 0);
	default:
		return fcntl(good.own, F_DUPFD_CLOEXEC, 0);
	}
}

/* A good request of any kind, with any sizes that a program might have. */
static struct broker_message any_request(void)
{
	static const size_t sizes[] = { 0,
					0,
					0,
					1,
					100,
					BROKER_INLINE,
					BROKER_INLINE + 1,
					1 << 20,
					BROKER_DATA_MAX,
					BROKER_DATA_MAX + 1,
					SIZE_MAX };
	struct broker_message request = { .version = BROKER_VERSION };

	request.what = (int32_t)chance(BROKER_REQUESTS + 1);
	request.token = chance(4) ? good_loan.token : chance(UINT64_MAX);
	request.state = good_state;
	request.state.send_data = request.state.receive_data = NULL;
	request.state.send_size = sizes[chance(sizeof(sizes) / sizeof(sizes[0]))];
	request.state.receive_size = sizes[chance(sizeof(sizes) / sizeof(sizes[0]))];
	return request;
}

/* Of 200 bytes more than the longest good one. */
static uint8_t bytes[sizeof(struct broker_message) + BROKER_INLINE + 200];

static size_t any_message(void)
{
	struct broker_message request = any_request();
	size_t size = sizeof(request);

	for (size_t i = 0; i < sizeof(bytes); i += sizeof(uint64_t)) {
		uint64_t value = chance(UINT64_MAX);

		memcpy(bytes + i, &value, sizeof(bytes) - i < 8 ? sizeof(bytes) - i : 8);
	}
	if (chance(8))
		memcpy(bytes, &request, sizeof(request));
	for (uint64_t changes = chance(3) ? 0 : chance(10); changes; changes--)
		bytes[chance(sizeof(request))] = (uint8_t)chance(256);
	switch (chance(4)) {
	case 0:
		return 1 + chance(sizeof(bytes));
	case 1:
		return size;
	default: /* as long as it says */
		size += request.state.send_size + request.state.receive_size;
		return size > sizeof(bytes) || size < sizeof(request) ? sizeof(request) : size;
	}
}

/* Whether the broker is still there to receive. */
static bool send_any(int to)
{
	int descriptors[64];
	unsigned count = chance(20) ? (unsigned)chance(4) : 64;
	long sent;

	for (unsigned i = 0; i < count; i++)
		descriptors[i] = any_descriptor(to);
	sent = send_raw(to, bytes, any_message(), descriptors, count);
	for (unsigned i = 0; i < count; i++)
		close(descriptors[i]);
	return sent > 0 || errno == EAGAIN;
}

static void send_malformed(void)
{
	unsigned sent = 0, channels = 0;
	char answer[64];

	while (sent < MESSAGES) {
		int channel = chance(10) ? open_session() : open_channel();

		channels++;
		for (unsigned i = 0; i < PER_CHANNEL && sent < MESSAGES; i++, sent++) {
			if (!send_any(channel))
				break;
			while (chance(4) && recv(channel, answer, sizeof(answer), MSG_DONTWAIT) > 0)
				;
		}
		sent++;
		close(channel);
	}
	tap_ok(broker_find() == broker, "%u messages of any kind on %u channels", sent, channels);
}

static void knock(void)
{
	for (unsigned i = 0; i < 300; i++) {
		if (!send_any(door))
			break;
		usleep(200);
	}
	tap_ok(broker_find() == broker, "messages of any kind at the door");
}

/* What is wrong in one thing only. */
static void send_one_thing_wrong(void)
{
	struct broker_message request = { .what = BROKER_WATCH };
	int channel = open_session(), file = memfd_create("test", MFD_CLOEXEC), pair[2];

	tap_ok(ask(channel, request, -1) == REFUSAL_STATE, "no connection: refused");
	request.what = BROKER_BORROW;
	tap_ok(ask(channel, request, good.own) == REFUSAL_STATE, "not watched: refused");
	request.what = BROKER_GIVE;
	tap_ok(ask(channel, request, good.own) == -EPERM, "not borrowed: not given back");
	request.what = BROKER_HOLD;
	request.token = good_loan.token;
	tap_ok(ask(channel, request, -1) == -ENOENT, "another's name: not held");
	request.what = BROKER_UNWATCH;
	tap_ok(send_request(channel, request, -1), "nor forgotten");
	request.what = BROKER_GIVE;
	request.state.send_size = BROKER_INLINE + 1;
	tap_ok(ask(channel, request, file) == -EPERM, "a file for much data");
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	tap_ok(ask(channel, request, pair[0]) == -EPERM, "is not looked at without a connection");
	request.what = BROKER_TAP;
	request.state.send_size = 0;
	tap_ok(send_request(channel, request, -1) && hangs_up(channel), "a second tap: hung up");
	close(channel);
	channel = open_channel();
	request.what = BROKER_WATCH;
	tap_ok(send_request(channel, request, good.own) && hangs_up(channel),
	       "no tap first: hung up");
	close(channel);
	channel = open_session();
	request.version = BROKER_VERSION + 1;
	tap_ok(send_raw(channel, &request, sizeof(request), &good.own, 1) > 0 && hangs_up(channel),
	       "another version: hung up");
	close(channel);
	channel = open_channel();
	request.what = BROKER_TAP;
	tap_ok(send_raw(channel, &request, sizeof(request), NULL, 0) > 0 &&
		       receive_answer(channel) == REFUSAL_BROKER && hangs_up(channel),
	       "another version that is new here: told, and hung up");
	close(channel);
	close(file);
	close(pair[0]);
	close(pair[1]);
}

#ifndef SO_PASSPIDFD /* Linux 6.5 */
#define SO_PASSPIDFD 76
#endif

static unsigned count_descriptors(void)
{
	struct dirent *entry;
	unsigned count = 0;
	char path[32];
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", broker);
	folder = opendir(path);
	while (folder && (entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	if (folder)
		closedir(folder);
	return count;
}

/*
 * A client has made the broker's end of its channel, too, and asks there for a descriptor with each
 * message.
 */
static void have_descriptors_made(void)
{
	const struct broker_message message = { .version = BROKER_VERSION };
	const struct broker_message hold = { .what = BROKER_HOLD, .token = 1 };
	const int on = 1;
	unsigned before = 0, after = 0;
	bool served = true;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
	    setsockopt(pair[1], SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on)) < 0) {
		tap_ok(true, "no PID descriptors come with messages here # SKIP");
		return;
	}
	send_raw(door, &message, sizeof(message), &pair[1], 1);
	close(pair[1]);
	served = ask(pair[0], (struct broker_message){ .what = BROKER_TAP }, -1) == REFUSAL_NONE;
	served = served && ask(pair[0], hold, -1) == -ENOENT;
	before = count_descriptors();
	for (int i = 0; i < 20 && served; i++)
		served = ask(pair[0], hold, -1) == -ENOENT;
	after = count_descriptors();
	tap_ok(served && before > 0 && after == before,
	       "what comes with messages unasked is closed: %u and %u descriptors", before, after);
	close(pair[0]);
}

/* A borrowed connection of a client's own, which says that more data comes than does. */
static void give_too_little(void)
{
	struct broker_message request = { .what = BROKER_GIVE };
	struct connection_state state;
	int file = memfd_create("test", MFD_CLOEXEC), channel = open_session();
	struct ends ends;
	enum refusal refusal = REFUSAL_UNSEEN;

	if (!tap_ok(ground_connect("IPv6", true, &ends), "a connection"))
		return;
	request.what = BROKER_WATCH;
	ask(channel, request, ends.own);
	ground_says(ends.peer, ends.own, "seen");
	request.what = BROKER_BORROW;
	for (int i = 0; i < 4000 && refusal_is_passing(refusal); i++) {
		refusal = (enum refusal)ask(channel, request, ends.own);
		usleep(5000);
	}
	tap_ok(refusal == REFUSAL_NONE, "which is borrowed");
	memset(&state, 0, sizeof(state));
	request.what = BROKER_GIVE;
	request.version = BROKER_VERSION;
	request.state.send_size = BROKER_DATA_MAX;
	if (ftruncate(file, 1000) == 0)
		send_raw(channel, &request, sizeof(request), (int[]){ ends.own, file }, 2);
	tap_ok(receive_answer(channel) == -EPERM, "and remains so when data is missing");
	send_raw(channel, &request, sizeof(request), (int[]){ ends.own, channel }, 2);
	tap_ok(receive_answer(channel) == -EPERM, "and when the file is none");
	close(channel);
	close(file);
	ground_close(&ends);
}

/* ---- floods ---- */

static void read_no_answers(void)
{
	struct broker_message request = { .what = BROKER_WATCH };
	int channel = open_session();
	bool hung_up = false;

	/* The broker may be waiting for a core: a minute, not so many tries. */
	for (unsigned waited_ms = 0; waited_ms < 60000 && !hung_up;) {
		if (send_request(channel, request, good.peer))
			continue;
		hung_up = errno == EPIPE;
		usleep(1000);
		waited_ms++;
	}
	tap_ok(hung_up, "who reads no answers is hung up on");
	close(channel);
}

static unsigned come_in_crowds(int *channels)
{
	unsigned served = 0;

	for (unsigned i = 0; i < CROWD; i++) {
		channels[i] = open_session();
		served += channels[i] >= 0;
	}
	return served;
}

static bool serves(void)
{
	struct lender *lender;

	if (lender_connect(door, &lender) != REFUSAL_NONE)
		return false;
	lender_close(lender);
	return true;
}

static void crowd(void)
{
	static int channels[CROWD];
	unsigned served = come_in_crowds(channels);
	bool one_more = serves(), again = false;

	tap_ok(served > 100 && served < CROWD && !one_more, "%u of %d clients are served", served,
	       CROWD);
	for (unsigned i = 0; i < CROWD; i++)
		close(channels[i]);
	for (int i = 0; i < BROKER_LOOKS && !again; i++) {
		again = serves();
		if (!again)
			usleep(5000);
	}
	tap_ok(again, "and others when these have gone");
}

/* Its close waits for the peer, who reads nothing, for as long as SO_LINGER says. */
static void send_slow_descriptor(void)
{
	static char much[1 << 16];
	const struct linger long_time = { .l_onoff = 1, .l_linger = 40 };
	struct broker_message request = { .what = BROKER_WATCH };
	int channel = open_session(), small = 4096;
	struct timespec begun, done;
	struct ends ends;

	ground_connect("IPv6", true, &ends);
	setsockopt(ends.peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	while (send(ends.own, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	setsockopt(ends.own, SOL_SOCKET, SO_LINGER, &long_time, sizeof(long_time));
	request.version = BROKER_VERSION;
	send_raw(channel, &request, sizeof(request), (int[]){ ends.own, ends.own }, 2);
	shutdown(channel, SHUT_RDWR);
	close(ends.own);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	tap_ok(serves(), "a descriptor that is slow to close holds up");
	clock_gettime(CLOCK_MONOTONIC, &done);
	tap_ok(done.tv_sec - begun.tv_sec < 20, "nobody else");
	close(ends.peer);
	close(ends.listener);
	close(channel);
}

/* ---- the other client ---- */

static bool borrow_good(void)
{
	enum refusal refusal = REFUSAL_UNSEEN;

	if (lender_connect(door, &good_lender) != REFUSAL_NONE ||
	    !ground_connect("IPv4", true, &good) ||
	    lender_watch(good_lender, good.own, &good_loan) != REFUSAL_NONE)
		return false;
	ground_says(good.peer, good.own, "hello");
	for (int i = 0; i < 4000 && refusal_is_passing(refusal); i++) {
		refusal = lender_borrow(good_lender, good.own, &good_loan, &good_state);
		usleep(5000);
	}
	return refusal == REFUSAL_NONE;
}

static bool give_good(void)
{
	return lender_give(good_lender, good.own, &good_loan, &good_state) == 0 &&
	       ground_says(good.own, good.peer, "back") && ground_says(good.peer, good.own, "too");
}

static void check_size(void)
{
	long kilobytes = 0, threads = 0;

	for (int i = 0; i < 4000 && threads != 2; i++) {
		threads = strtol(process_status(broker, "Threads"), NULL, 10);
#ifdef MELIN_COVERAGE
		threads--; /* the one that writes the counters */
#endif
		usleep(5000);
	}
	kilobytes = strtol(process_status(broker, "VmRSS"), NULL, 10);
	tap_ok(threads == 2, "%ld threads are left, one for the one client", threads);
#ifdef __SANITIZE_ADDRESS__
	kilobytes /= 8; /* it keeps what is freed */
#endif
	tap_ok(kilobytes > 0 && kilobytes < 65536, "%ld KiB of memory", kilobytes);
}

int main(void)
{
	struct rlimit descriptors = { 4096, 4096 };

	ground_make();
	setrlimit(RLIMIT_NOFILE, &descriptors);
	door = broker_start(ground_broker());
	broker = broker_find();
	if (!tap_ok(borrow_good(), "a connection is borrowed"))
		return tap_done();
	send_one_thing_wrong();
	have_descriptors_made();
	give_too_little();
	send_malformed();
	knock();
	read_no_answers();
	crowd();
	send_slow_descriptor();
	tap_ok(give_good(), "the connection is given back after all that, and goes on");
	check_size();
	lender_close(good_lender);
	close(door);
	tap_ok(broker_ends(broker), "the broker ends");
	return tap_done();
}
