/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking connections from the kernel and giving them back (broker/repair.h), both ends in this
 * process, on the loopback interface of a network namespace of its own. Without a stack: what comes
 * while a connection is taken is lost, and sent again when it is back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/repair.h"
#include "common/system_call.h"
#include "tests/unit/broker/ground.h"
#include "tests/unit/tap.h"

#define PORT 7000

static const char *family_name;
static int peer, own, listener;

/* ---- the ground ---- */

/* With segments as on Ethernet: TCP_MAXSEG takes no larger ones than half of loopback's. */
static bool loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_mtu = 1500 };
	int control = socket(AF_INET, SOCK_DGRAM, 0);
	bool up = ioctl(control, SIOCSIFMTU, &request) == 0;

	request.ifr_flags = IFF_UP;
	up = up && ioctl(control, SIOCSIFFLAGS, &request) == 0;
	close(control);
	return up;
}

static socklen_t name_of(const char *text, struct sockaddr_storage *name)
{
	struct sockaddr_in *in = (struct sockaddr_in *)name;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)name;

	memset(name, 0, sizeof(*name));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(PORT);
		return sizeof(*in);
	}
	inet_pton(AF_INET6, text, &in6->sin6_addr);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(PORT);
	return sizeof(*in6);
}

/* A connection; own is the accepted end, or the connected one. */
static bool connect_ends(const char *text, bool own_accepts)
{
	struct sockaddr_storage name;
	socklen_t size = name_of(text, &name);
	int on = 1, accepted, connected;

	family_name = text;
	listener = socket(name.ss_family, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	connected = socket(name.ss_family, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&name, size) < 0 || listen(listener, 5) < 0 ||
	    connect(connected, (struct sockaddr *)&name, size) < 0)
		return false;
	accepted = accept(listener, NULL, NULL);
	own = own_accepts ? accepted : connected;
	peer = own_accepts ? connected : accepted;
	return accepted >= 0;
}

static void close_ends(void)
{
	struct linger at_once = { .l_onoff = 1 };

	setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(peer);
	close(own);
	close(listener);
}

static int unacknowledged(int descriptor)
{
	int bytes = -1;

	ioctl(descriptor, SIOCOUTQ, &bytes);
	return bytes;
}

static bool settles(int descriptor)
{
	for (int i = 0; i < 30000 && unacknowledged(descriptor); i++)
		usleep(1000);
	return unacknowledged(descriptor) == 0;
}

static unsigned announced(int descriptor)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size);
	return info.tcpi_advmss;
}

static int segment_of(int descriptor)
{
	int segment = 0;
	socklen_t size = sizeof(segment);

	getsockopt(descriptor, IPPROTO_TCP, TCP_MAXSEG, &segment, &size);
	return segment;
}

/* ---- the checks ---- */

static void take_and_give(const char *text, bool own_accepts)
{
	struct connection_state state;
	socklen_t size = sizeof(int);
	unsigned announced_before;
	int segment;
	bool both;
	int number;

	if (!tap_ok(connect_ends(text, own_accepts), "%s: a connection", text))
		return;
	both = ground_says(peer, own, "before") && ground_says(own, peer, "before") && settles(own);
	announced_before = announced(own);
	segment = segment_of(own);
	tap_ok(both && repair_take(own, -1, &state) == 0, "%s: taken when %s", text,
	       own_accepts ? "accepted" : "connected");
	tap_ok(state.timestamps && state.scaled && state.sack && state.segment > 500 &&
		       state.largest_segment >= state.segment,
	       "the options are known");
	send(peer, "meanwhile", 9, 0);
	usleep(20000);
	tap_ok(unacknowledged(peer) == 9, "the kernel acknowledges nothing meanwhile");
	tap_ok(repair_give(own, &state) == 0, "given back");
	connection_state_clear(&state);
	tap_ok(getsockopt(own, IPPROTO_TCP, TCP_QUEUE_SEQ, &number, &size) < 0 && errno == EINVAL,
	       "no queue is left chosen");
	tap_ok(segment_of(own) == segment, "its segments are as before: %d and %d", segment,
	       segment_of(own));
	tap_ok(!strchr(text, '.') || announced(own) == announced_before,
	       "and what it has announced: %u and %u", announced_before, announced(own));
	tap_ok(ground_says(own, peer, "after"), "the peer hears of it again");
	tap_ok(ground_says(peer, own, "") && settles(peer),
	       "and what was sent meanwhile is sent again");
	{
		char got[16] = "";

		tap_ok(recv(own, got, sizeof(got), MSG_DONTWAIT) == 9 && !strcmp(got, "meanwhile"),
		       "and received, once");
	}
	shutdown(peer, SHUT_WR);
	{
		char nothing;

		tap_ok(recv(own, &nothing, 1, 0) == 0, "and the end");
	}
	close_ends();
}

static void keep_unread(void)
{
	struct connection_state state;
	char got[64] = "";
	int reuse = 0;
	socklen_t size = sizeof(reuse);

	connect_ends("127.0.0.1", true);
	send(peer, "hello ", 6, 0);
	usleep(10000);
	recv(own, got, 2, 0);
	tap_ok(repair_take(own, -1, &state) == 0 && state.receive_size == 4 &&
		       !memcmp(state.receive_data, "llo ", 4),
	       "what is unread is in the state");
	tap_ok(repair_give(own, &state) == 0 && ground_says(peer, own, "") &&
		       recv(own, got, 64, 0) == 4 && !memcmp(got, "llo ", 4),
	       "and is read after it was given back");
	connection_state_clear(&state);
	getsockopt(own, SOL_SOCKET, SO_REUSEADDR, &reuse, &size);
	tap_ok(reuse == 1, "SO_REUSEADDR is what it was");
	tap_ok(repair_take(own, -1, &state) == 0 && repair_cancel(own, &state) == 0 &&
		       ground_says(own, peer, "x") && ground_says(peer, own, "y"),
	       "taken for nothing: it goes on");
	getsockopt(own, SOL_SOCKET, SO_REUSEADDR, &reuse, &size);
	tap_ok(reuse == 1, "with the same SO_REUSEADDR");
	connection_state_clear(&state);
	close_ends();
}

/* As a stack would: it has received some, and written some that is not acknowledged. */
static void change_state(void)
{
	struct connection_state state;
	char got[64] = "";

	connect_ends("127.0.0.1", true);
	ground_says(peer, own, "x");
	repair_take(own, -1, &state);
	state.send_data = malloc(5);
	memcpy(state.send_data, "answe", 5);
	state.send_size = 5;
	tap_ok(repair_give(own, &state) == 0 && unacknowledged(own) == 5,
	       "what is not acknowledged goes into the send queue");
	tap_ok(ground_says(own, peer, "") && recv(peer, got, sizeof(got), 0) == 5 &&
		       !memcmp(got, "answe", 5) && settles(own),
	       "and is sent by the kernel");
	connection_state_clear(&state);
	close_ends();
}

/* What a stack had in its buffers may be more than the kernel's take. */
#define LARGE (1 << 20)

static bool receives(int from, size_t size, uint8_t byte)
{
	static uint8_t got[65536];
	struct pollfd ready = { .fd = from, .events = POLLIN };

	while (size > 0 && poll(&ready, 1, 30000) == 1) {
		ssize_t part = recv(from, got, size < sizeof(got) ? size : sizeof(got), 0);

		if (part <= 0)
			return false;
		for (ssize_t i = 0; i < part; i++)
			if (got[i] != byte)
				return false;
		size -= (size_t)part;
	}
	return size == 0;
}

static void give_much(void)
{
	struct connection_state state;
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	int not_sent = 0;

	connect_ends("127.0.0.1", true);
	ground_says(peer, own, "x");
	repair_take(own, -1, &state);
	state.send_data = malloc(LARGE);
	state.receive_data = malloc(LARGE);
	memset(state.send_data, 's', LARGE);
	memset(state.receive_data, 'r', LARGE);
	state.send_size = state.send_unsent = state.receive_size = LARGE;
	/* The peer has not sent it: its numbers are as they were, behind the data. */
	tap_ok(repair_give(own, &state) == 0, "1 MiB unread and 1 MiB unsent are given back");
	connection_state_clear(&state);
	/* The peer's buffer does not grow while nobody reads from it. */
	ioctl(own, SIOCOUTQNSD, &not_sent);
	tap_ok(not_sent > LARGE / 2, "most of it waits for the peer's window");
	tap_ok(receives(own, LARGE, 'r'), "the one can be read");
	tap_ok(receives(peer, LARGE, 's'), "the other is sent");
	getsockopt(own, IPPROTO_TCP, TCP_INFO, &info, &size);
	tap_ok(info.tcpi_total_retrans == 0, "once: the kernel knows that it is new");
	close_ends();
}

/* Whatever is in the two queues, the error is there, once, and nothing else has changed. */
static void leave_one_error(int error, bool unread, size_t sent, size_t unsent)
{
	struct connection_state state;
	struct pollfd ready;
	char got[64] = "";
	int told = 0, again = -1;
	socklen_t size = sizeof(told);

	connect_ends("127.0.0.1", true);
	ground_says(peer, own, "x");
	if (unread)
		send(peer, "hello", 5, 0);
	usleep(10000);
	repair_take(own, -1, &state);
	state.send_size = sent + unsent;
	state.send_unsent = unsent;
	state.send_data = malloc(state.send_size + 1);
	memset(state.send_data, 'y', state.send_size);
	state.left_error = (uint8_t)error;
	repair_give(own, &state);
	connection_state_clear(&state);
	ready = (struct pollfd){ .fd = own };
	poll(&ready, 1, 0);
	getsockopt(own, SOL_SOCKET, SO_ERROR, &told, &size);
	getsockopt(own, SOL_SOCKET, SO_ERROR, &again, &size);
	tap_ok(ready.revents == POLLERR && told == error && again == 0,
	       "%s is left, once: %s (unread %d, sent %zu, unsent %zu)", strerror(error),
	       strerror(told), unread, sent, unsent);
	tap_ok((recv(own, got, sizeof(got), MSG_DONTWAIT) == 5) == unread &&
		       receives(peer, sent + unsent, 'y') && ground_says(own, peer, "z"),
	       "and its data is");
	close_ends();
}

static void leave_errors(void)
{
	static const int errors[] = { EFAULT, EINVAL, EMSGSIZE };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		leave_one_error(errors[i], false, 0, 0);
		leave_one_error(errors[i], true, 0, 7);
		leave_one_error(errors[i], false, 50000, 0);
		leave_one_error(errors[i], true, 3, 4);
	}
}

/* As a stack that has so much of either kind, and a socket with the smallest buffers. */
static bool gives_to_small_buffers(size_t unread, size_t unsent, bool is_sent)
{
	const int smallest = 1;
	struct connection_state state;
	bool given;

	connect_ends("127.0.0.1", true);
	ground_says(peer, own, "x");
	repair_take(own, -1, &state);
	setsockopt(own, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest));
	setsockopt(own, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest));
	state.receive_data = malloc(unread);
	memset(state.receive_data, 'r', unread);
	state.receive_size = unread;
	state.send_data = malloc(unsent);
	memset(state.send_data, 's', unsent);
	state.send_size = unsent;
	state.send_unsent = is_sent ? 0 : unsent;
	/* What has been sent is sent again if this takes too long. */
	given = repair_give(own, &state) == 0 && receives(own, unread, 'r') &&
		((is_sent && unacknowledged(own) == (int)unsent) || receives(peer, unsent, 's'));
	connection_state_clear(&state);
	close_ends();
	return given;
}

/* The buffers are the smallest ones, the data any amount that a stack may have taken. */
static void give_to_small_buffers(void)
{
	size_t unread = 0, unsent = 0, sent = 0;

	for (size_t size = 1024; size <= 128 * 1024; size += 1024) {
		if (!gives_to_small_buffers(size, 0, false))
			unread = size;
		if (!gives_to_small_buffers(0, size, false))
			unsent = size;
		if (!gives_to_small_buffers(0, size, true))
			sent = size;
	}
	tap_ok(unread == 0, "any amount is read from a small buffer, but %zu bytes", unread);
	tap_ok(unsent == 0, "any amount is sent from one, but %zu bytes", unsent);
	tap_ok(sent == 0, "and waits in it for being acknowledged, but %zu bytes", sent);
}

/* An odd one would make the kernel count microseconds from then on. */
static void keep_clock(void)
{
	struct connection_state state;
	uint32_t given;

	connect_ends("127.0.0.1", true);
	ground_says(peer, own, "x");
	repair_take(own, -1, &state);
	state.timestamp |= 1;
	given = state.timestamp;
	repair_give(own, &state);
	connection_state_clear(&state);
	usleep(50000);
	tap_ok(ground_says(own, peer, "y") && settles(own) && repair_take(own, -1, &state) == 0 &&
		       state.timestamp - given >= 50 && state.timestamp - given < 10000,
	       "the clock of the timestamps goes on at its pace");
	repair_give(own, &state);
	connection_state_clear(&state);
	close_ends();
}

static void refuse(void)
{
	const int small = 4095, enough = 4096; /* which the kernel doubles */
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	struct sock_fprog program = { .len = 1, .filter = &all };
	struct connection_state state;
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	connect_ends("127.0.0.1", true);
	setsockopt(own, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	tap_ok(repair_refusal_of(repair_take(own, -1, &state)) == REPAIR_FILTER,
	       "a filter of the program's own: refused");
	setsockopt(own, SOL_SOCKET, SO_DETACH_FILTER, &program, sizeof(int));
	setsockopt(own, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	tap_ok(repair_refusal_of(repair_take(own, -1, &state)) == REPAIR_BUFFER,
	       "a receive buffer below 8 KiB: refused");
	setsockopt(own, SOL_SOCKET, SO_RCVBUF, &enough, sizeof(enough));
	/* What is to be sent with what follows stays. */
	send(own, "held", 4, MSG_MORE);
	tap_ok(repair_refusal_of(repair_take(own, -1, &state)) == REPAIR_BUSY,
	       "written and not acknowledged: refused");
	tap_ok(ground_says(own, peer, "") && ground_says(peer, own, "whole"), "and whole");
	tap_ok(repair_refusal_of(repair_take(listener, -1, &state)) != REPAIR_FIT,
	       "a listener: refused");
	shutdown(peer, SHUT_WR);
	poll(&(struct pollfd){ .fd = own, .events = POLLRDHUP }, 1, 30000);
	tap_ok(repair_refusal_of(repair_take(own, -1, &state)) == REPAIR_STATE,
	       "after a FIN: refused");
	connect(own, &nobody, sizeof(nobody));
	tap_ok(repair_refusal_of(repair_take(own, -1, &state)) == REPAIR_STATE,
	       "not connected: refused");
	close_ends();
}

static void set_peer(int name, int value)
{
	setsockopt(peer, IPPROTO_TCP, name, &value, sizeof(value));
}

/*
 * What is written in repair has been sent: the peer leaves it out, until it hears from own that
 * what comes behind it is there.
 */
static void leave_out(const char *text)
{
	set_peer(TCP_REPAIR, TCP_REPAIR_ON);
	set_peer(TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	send(peer, text, strlen(text), 0);
	set_peer(TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	set_peer(TCP_NODELAY, 1);
	for (unsigned i = 0; i < 4; i++)
		send(peer, "x", 1, 0);
}

static void *take_without_rights(void *state)
{
	kernel_give_up_capabilities();
	return (void *)(intptr_t)repair_take(own, -1, state);
}

/*
 * While a taking that is refused has the socket silenced, segments are lost to it. Who has no
 * rights is told what was found out before.
 */
static void refuse_after_gap(void)
{
	struct connection_state state;
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	char got[16] = "";
	pthread_t thread;
	void *result;

	connect_ends("127.0.0.1", true);
	ground_says(peer, own, "x");
	leave_out("lost");
	tap_ok(settles(peer) && getsockopt(own, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
		       info.tcpi_rcv_ooopack > 0,
	       "segments have come behind a gap, which is filled");
	pthread_create(&thread, NULL, take_without_rights, &state);
	pthread_join(thread, &result);
	tap_ok(repair_refusal_of((int)(intptr_t)result) == REPAIR_BUSY,
	       "unread, they are refused before anything is changed");
	tap_ok(recv(own, got, sizeof(got), MSG_DONTWAIT) == 8 && !strcmp(got, "lostxxxx") &&
		       repair_take(own, -1, &state) == 0,
	       "they are read: taken");
	repair_give(own, &state);
	connection_state_clear(&state);
	close_ends();
}

static bool set_sysctl(const char *path, const char *value)
{
	FILE *setting = fopen(path, "w");

	return setting && fputs(value, setting) >= 0 && fclose(setting) == 0;
}

/* Routers may mark its segments, which is the kernel's to tell the peer. */
static void refuse_ecn(void)
{
	static const char path[] = "/proc/sys/net/ipv4/tcp_ecn";
	struct connection_state state;

	tap_ok(set_sysctl(path, "1") && connect_ends("127.0.0.1", true), "a connection with ECN");
	ground_says(peer, own, "marked");
	tap_ok(repair_refusal_of(repair_take(own, -1, &state)) == REPAIR_ULP, "refused");
	set_sysctl(path, "2");
	close_ends();
}

static unsigned window_of(int descriptor)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size);
	return info.tcpi_snd_wnd;
}

/*
 * The peer does not scale windows, or a SYN cookie had no room for that: the kernel must not scale
 * them either when it gets the connection back, although it would with others.
 */
static void keep_unscaled(const char *text)
{
	static const char path[] = "/proc/sys/net/ipv4/tcp_window_scaling";
	struct connection_state state;
	unsigned before, after;
	bool heard;

	tap_ok(set_sysctl(path, "0") && connect_ends(text, true) && set_sysctl(path, "1"),
	       "%s: a connection without window scaling", text);
	ground_says(peer, own, "x");
	ground_says(own, peer, "y");
	before = window_of(peer);
	tap_ok(settles(own) && settles(peer) && repair_take(own, -1, &state) == 0 &&
		       !state.scaled && repair_give(own, &state) == 0,
	       "taken and given back");
	connection_state_clear(&state);
	heard = ground_says(own, peer, "z");
	after = window_of(peer);
	tap_ok(heard && after >= before / 2, "the peer may send as much: %u and %u bytes", before,
	       after);
	close_ends();
}

static int clamp_of(int descriptor)
{
	int clamp = 0;
	socklen_t size = sizeof(clamp);

	getsockopt(descriptor, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, &size);
	return clamp;
}

/* tcp(7), TCP_WINDOW_CLAMP. */
static void keep_clamp(void)
{
	struct connection_state state;
	const int clamp = 20000;

	connect_ends("127.0.0.1", true);
	setsockopt(own, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, sizeof(clamp));
	ground_says(peer, own, "x");
	tap_ok(clamp_of(own) == clamp && repair_take(own, -1, &state) == 0 &&
		       repair_give(own, &state) == 0,
	       "a connection with a clamp of %d bytes", clamp_of(own));
	connection_state_clear(&state);
	tap_ok(clamp_of(own) == clamp, "which it has when it is back: %d", clamp_of(own));
	close_ends();
}

/* What the kernel would acknowledge later it acknowledges before it is asked for its numbers. */
static void acknowledge_first(void)
{
	struct connection_state state;
	struct tcp_repair_window now = { 0 };
	socklen_t size = sizeof(now);
	const int later = 0;

	connect_ends("127.0.0.1", true);
	ground_says(own, peer, "x");
	settles(own);
	setsockopt(own, IPPROTO_TCP, TCP_QUICKACK, &later, sizeof(later));
	tap_ok(ground_says(peer, own, "y") && repair_take(own, -1, &state) == 0,
	       "taken before the kernel acknowledges");
	tap_ok(getsockopt(own, IPPROTO_TCP, TCP_REPAIR_WINDOW, &now, &size) == 0 &&
		       now.rcv_wup == state.receive_next && unacknowledged(peer) == 0,
	       "it has done so now");
	tap_ok(now.rcv_wup == state.receive_window_start && now.rcv_wnd == state.receive_window,
	       "with the window that is told");
	repair_give(own, &state);
	connection_state_clear(&state);
	close_ends();
}

/* Both ends talk while one of them is taken and given back again and again. */
static void many_changes(void)
{
	const unsigned long resets = ground_count("OutRsts");
	unsigned failed = 0, lost = 0;

	connect_ends("127.0.0.1", true);
	for (unsigned i = 0; i < 200; i++) {
		struct connection_state state;
		char text[16];

		snprintf(text, sizeof(text), "%u", i);
		lost += !ground_says(peer, own, text) || !ground_says(own, peer, text);
		if (!settles(own) || repair_take(own, -1, &state) < 0) {
			failed++;
			continue;
		}
		failed += repair_give(own, &state) < 0;
		connection_state_clear(&state);
	}
	tap_ok(failed == 0, "200 times taken and given back: %u failed", failed);
	tap_ok(lost == 0, "%u of 400 messages lost or changed", lost);
	tap_ok(ground_count("OutRsts") == resets, "no RST was sent");
	close_ends();
}

/* Tail loss probes (RFC 8985 7) are sent when acknowledgements are late, as on a busy machine. */
static bool without_probes(void)
{
	return set_sysctl("/proc/sys/net/ipv4/tcp_early_retrans", "0");
}

int main(void)
{
	if (unshare(CLONE_NEWNET) < 0 || !loopback_up()) {
		printf("1..0 # SKIP needs the right to make a network namespace\n");
		return 0;
	}
	tap_ok(without_probes(), "what is retransmitted is lost, or was sent already");
	take_and_give("127.0.0.1", true);
	take_and_give("127.0.0.1", false);
	take_and_give("::1", true);
	take_and_give("::1", false);
	take_and_give("::ffff:127.0.0.1", true);
	take_and_give("::ffff:127.0.0.1", false);
	keep_unread();
	change_state();
	keep_clock();
	give_much();
	leave_errors();
	give_to_small_buffers();
	refuse();
	refuse_after_gap();
	refuse_ecn();
	keep_unscaled("127.0.0.1");
	keep_unscaled("::1");
	keep_clamp();
	acknowledge_first();
	many_changes();
	return tap_done();
}
