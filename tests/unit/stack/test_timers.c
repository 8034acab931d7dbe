/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linux's times, in virtual time, against a peer that the test plays: when SYNs and data are sent
 * again, when connecting and sending are given up, keepalive, user timeout. Not for when data is
 * sent first, and what losses mend (test_sending.c).
 */
#include <linux/tcp.h>

#include "tests/unit/stack/peer.h"

/* Until the socket has an error; returns ms. */
static unsigned wait_error(struct test_socket *socket, unsigned limit)
{
	unsigned ms = 0;

	while (!(ready(socket) & EPOLLERR) && ms < limit) {
		pass_ms(100);
		ms += 100;
	}
	return ms;
}

static void test_connect_timeout(void)
{
	static const unsigned gaps[] = { 1000, 2000, 4000, 8000, 16000, 32000 };
	static const unsigned few_gaps[] = { 1000, 1000, 1000, 2000 };
	struct test_socket client;
	struct segment syn;
	unsigned total = 0;

	stack->sysctl.syn_retries = 6;
	stack->sysctl.syn_linear = 0;
	create(&client, AF_INET);
	ops->connect(client.handle, NULL, address4(WIRE_PEER, 1000));
	pass_ms(10);
	tap_ok(wire_get_segment(&syn) && syn.flags == SYN, "the first SYN");
	for (unsigned i = 0; i < 6; i++) {
		unsigned ms = wait_segment(&syn, 100000);

		tap_ok(near(ms, gaps[i], 60) && syn.flags == SYN, "SYN again after %u ms", ms);
		total += ms;
	}
	total += wait_error(&client, 200000);
	tap_ok(near(total, 127000, 500), "given up after %u ms", total);
	tap_ok(option(&client, SOL_SOCKET, SO_ERROR) == ETIMEDOUT, "with ETIMEDOUT");
	drop(&client);

	/* TCP_SYNCNT, and tcp_syn_linear_timeouts of Linux 6.5 */
	stack->sysctl.syn_linear = 2;
	create(&client, AF_INET);
	set(&client, IPPROTO_TCP, TCP_SYNCNT, 2);
	ops->connect(client.handle, NULL, address4(WIRE_PEER, 1000));
	pass_ms(10);
	tap_ok(wire_get_segment(&syn) && syn.flags == SYN, "with TCP_SYNCNT: the first SYN");
	total = 0;
	for (unsigned i = 0; i < 4; i++) {
		unsigned ms = wait_segment(&syn, 100000);

		tap_ok(near(ms, few_gaps[i], 60) && syn.flags == SYN, "SYN again after %u ms", ms);
		total += ms;
	}
	total += wait_error(&client, 200000);
	tap_ok(near(total, 9000, 200), "given up after %u ms", total);
	tap_ok(option(&client, SOL_SOCKET, SO_ERROR) == ETIMEDOUT, "with ETIMEDOUT");
	drop(&client);

	/* One retry stands for three seconds, however many SYNs go in them. */
	stack->sysctl.syn_linear = 4;
	create(&client, AF_INET);
	set(&client, IPPROTO_TCP, TCP_SYNCNT, 1);
	ops->connect(client.handle, NULL, address4(WIRE_PEER, 1000));
	total = wait_error(&client, 200000);
	tap_ok(near(total, 3000, 200), "TCP_SYNCNT of 1: given up after %u ms", total);
	drop(&client);
	wire_clear();
}

static void test_unreachable(void)
{
	struct test_socket client;
	unsigned ms;

	wire_answers_arp = false;
	create(&client, AF_INET);
	ops->connect(client.handle, NULL, address4("198.18.0.77", 1000));
	ms = wait_error(&client, 20000);
	tap_ok(near(ms, 3300, 300), "nobody has the address: known after %u ms", ms);
	tap_ok(option(&client, SOL_SOCKET, SO_ERROR) == EHOSTUNREACH, "EHOSTUNREACH");
	wire_answers_arp = true;
	drop(&client);
	create(&client, AF_INET);
	tap_ok(ops->connect(client.handle, NULL, address4("192.0.2.1", 1000)) == -ENETUNREACH,
	       "no gateway: ENETUNREACH at once");
	drop(&client);
	wire_clear();
}

static void test_data_timeout(void)
{
	struct test_socket client;
	struct segment segment;
	struct peer peer;
	unsigned times = 0, total = 0;
	unsigned ms, first;

	stack->sysctl.retries = 15;
	be_called(&peer, &client, 1001);
	put(&client, "data", 4, 0);
	wire_get_segment(&segment);
	first = wait_segment(&segment, 10000);
	tap_ok(first >= 180 && first <= 260, "the first retransmission after %u ms", first);
	while (!(ready(&client) & EPOLLERR) && total < 2000000) {
		ms = wait_segment(&segment, 1000);
		times += ms < 1000;
		total += ms;
	}
	tap_ok(near(total, 924600, 30000), "given up after %u s and %u more", total / 1000, times);
	tap_ok(option(&client, SOL_SOCKET, SO_ERROR) == ETIMEDOUT, "with ETIMEDOUT");
	drop(&client);

	stack->sysctl.retries = 3;
	be_called(&peer, &client, 1003);
	put(&client, "data", 4, 0);
	ms = wait_error(&client, 100000);
	tap_ok(near(ms, 3300, 300), "tcp_retries2 of 3: given up after %u ms", ms);
	drop(&client);
	stack->sysctl.retries = 15;

	be_called(&peer, &client, 1002);
	set(&client, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
	put(&client, "data", 4, 0);
	ms = wait_error(&client, 100000);
	tap_ok(near(ms, 5500, 1500), "TCP_USER_TIMEOUT of 5 s: after %u ms", ms);
	drop(&client);
	wire_clear();
}

/* The peer's address moves to other hardware and nobody announces it. */
static void test_moved_peer(void)
{
	static const uint8_t moved[] = { 2, 0, 0, 0, 0, 3 };
	uint8_t frame[2048], answer[42];
	struct test_socket client;
	struct peer peer;
	unsigned ms = 0, broadcasts = 0;
	bool found = false;

	be_called(&peer, &client, 1003);
	wire_answers_arp = false;
	put(&client, "data", 4, 0);
	while (!broadcasts && ms < 10000) {
		pass_ms(10);
		ms += 10;
		while (wire_get(frame, sizeof(frame)))
			if (frame[0] == 0xff && frame[12] == 8 && frame[13] == 6) {
				memcpy(answer, frame, sizeof(answer));
				broadcasts++;
			}
	}
	tap_ok(broadcasts == 1 && ms < 4000, "asked for anew after %u ms", ms);
	memcpy(answer, WIRE_OWN_MAC, 6);
	memcpy(answer + 6, moved, 6);
	answer[21] = 2;
	memcpy(answer + 22, moved, 6);
	memcpy(answer + 32, WIRE_OWN_MAC, 6);
	for (int i = 0; i < 4; i++) {
		uint8_t asker = answer[28 + i];

		answer[28 + i] = answer[38 + i];
		answer[38 + i] = asker;
	}
	wire_put(answer, sizeof(answer));
	for (ms = 0; !found && ms < 10000; ms += 10) {
		pass_ms(10);
		while (wire_get(frame, sizeof(frame)))
			found |= frame[12] == 8 && frame[13] == 0 && !memcmp(frame, moved, 6);
	}
	tap_ok(found, "and sent to the new hardware");
	wire_answers_arp = true;
	say(&peer, RST | ACK, NULL, 0);
	drop(&client);
	/* Back to where the other tests' peer is. */
	memcpy(answer + 6, WIRE_PEER_MAC, 6);
	memcpy(answer + 22, WIRE_PEER_MAC, 6);
	wire_put(answer, sizeof(answer));
	ops->poll(stack);
	wire_clear();
}

static void test_keepalive(void)
{
	struct test_socket client;
	struct segment segment;
	struct peer peer;
	unsigned ms;

	be_called(&peer, &client, 1003);
	set(&client, IPPROTO_TCP, TCP_KEEPIDLE, 20);
	set(&client, IPPROTO_TCP, TCP_KEEPINTVL, 2);
	set(&client, IPPROTO_TCP, TCP_KEEPCNT, 3);
	set(&client, SOL_SOCKET, SO_KEEPALIVE, 1);
	pass_ms(1000);
	tap_ok(stack->index.counts.parked == 1, "the idle connection is parked");
	ms = 1000 + wait_segment(&segment, 60000);
	tap_ok(near(ms, 20000, 200) && segment.seq == peer.ack - 1, "a probe after %u ms", ms);
	say(&peer, ACK, NULL, 0);
	ms = wait_segment(&segment, 60000);
	tap_ok(near(ms, 20000, 200), "answered: the next after %u ms", ms);
	ms = wait_segment(&segment, 60000);
	tap_ok(near(ms, 2000, 100), "not answered: the next after %u ms", ms);
	ms = wait_error(&client, 60000);
	tap_ok(near(ms, 4000, 300), "given up after %u ms more", ms);
	tap_ok(option(&client, SOL_SOCKET, SO_ERROR) == ETIMEDOUT, "with ETIMEDOUT");
	drop(&client);

	be_called(&peer, &client, 1004);
	set(&client, IPPROTO_TCP, TCP_KEEPIDLE, 5);
	set(&client, IPPROTO_TCP, TCP_KEEPINTVL, 2);
	set(&client, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(&client, IPPROTO_TCP, TCP_USER_TIMEOUT, 8000);
	ms = wait_error(&client, 60000);
	tap_ok(near(ms, 9000, 300), "TCP_USER_TIMEOUT of 8 s: given up after %u ms", ms);
	drop(&client);
	wire_clear();
}

static void test_zero_window(void)
{
	struct test_socket client;
	struct segment segment, shut;
	struct peer peer;
	unsigned probes = 0;

	be_called(&peer, &client, 1004);
	shut = (struct segment){ .from = peer.port,
				 .to = peer.stack_port,
				 .seq = peer.seq,
				 .ack = peer.ack,
				 .flags = ACK,
				 .shut = true };
	put(&client, "x", 1, 0);
	wire_get_segment(&segment);
	peer.ack++;
	shut.ack++;
	for (unsigned i = 0; i < 600; i++) { /* 20 minutes */
		wire_put_segment(&shut);
		ops->poll(stack);
		if (i == 0)
			put(&client, "waits", 5, 0);
		pass_ms(2000);
		while (wire_get_segment(&segment))
			probes++;
	}
	tap_ok(!(ready(&client) & EPOLLERR), "a peer without room is asked for ever: %u probes",
	       probes);
	drop(&client);
	wire_clear();
}

/* What the peer says while it has no room. Segments that the stack sent meanwhile: their flags. */
static unsigned answer_without_room(struct peer *peer, unsigned seconds, bool answers)
{
	struct segment shut = {
		.from = peer->port,
		.to = peer->stack_port,
		.seq = peer->seq,
		.ack = peer->ack,
		.flags = ACK,
		.shut = true,
	};
	struct segment segment;
	unsigned fins = 0;

	for (unsigned i = 0; i < seconds * 10; i++) {
		pass_ms(100);
		while (wire_get_segment(&segment)) {
			fins += (segment.flags & FIN) != 0;
			if (!answers)
				continue;
			wire_put_segment(&shut);
			ops->poll(stack);
		}
	}
	return fins;
}

static void say_no_room(struct peer *peer)
{
	struct segment shut = { .from = peer->port,
				.to = peer->stack_port,
				.seq = peer->seq,
				.ack = peer->ack,
				.flags = ACK,
				.shut = true };

	wire_put_segment(&shut);
	ops->poll(stack);
}

/* A connection whose peer has taken a byte and has no room for more. */
static void call_without_room(struct peer *peer, struct test_socket *client, uint16_t port)
{
	be_called(peer, client, port);
	put(client, "x", 1, 0);
	peer->ack++;
	say_no_room(peer);
	wire_clear();
}

static unsigned seconds_to_error(struct peer *peer, struct test_socket *client, unsigned limit,
				 bool answers)
{
	unsigned seconds = 0;

	while (!(ready(client) & EPOLLERR) && seconds < limit) {
		answer_without_room(peer, 1, answers);
		seconds++;
	}
	return seconds;
}

/* A FIN is beyond a shut window, and the peer drops it: that is a probe, and no loss. */
static void test_fin_without_room(void)
{
	struct test_socket client;
	struct segment segment;
	struct peer peer;
	unsigned fins, seconds;

	stack->sysctl.retries = 5; /* 12.6 s */
	call_without_room(&peer, &client, 1019);
	ops->shutdown(client.handle, SHUT_WR);
	fins = answer_without_room(&peer, 60, true);
	tap_ok(!(ready(&client) & EPOLLERR), "a minute without room for a FIN: %u were sent", fins);
	say(&peer, ACK, NULL, 0);
	tap_ok(wire_get_segment(&segment) && (segment.flags & FIN), "it goes when there is room");
	peer.ack++;
	say(&peer, ACK, NULL, 0);
	tap_ok(ops->unsent(client.handle) == 0 && !(ready(&client) & EPOLLERR), "and has come");
	drop(&client);

	call_without_room(&peer, &client, 1020);
	ops->shutdown(client.handle, SHUT_WR);
	seconds = seconds_to_error(&peer, &client, 100, false);
	tap_ok(near(seconds, 13, 2), "a peer that is silent is given up after %u s", seconds);
	drop(&client);

	call_without_room(&peer, &client, 1021);
	set(&client, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
	ops->shutdown(client.handle, SHUT_WR);
	seconds = seconds_to_error(&peer, &client, 100, true);
	tap_ok(near(seconds, 30, 2), "with TCP_USER_TIMEOUT of 30 s: after %u s", seconds);
	drop(&client);
	stack->sysctl.retries = 15;
	wire_clear();
}

/* Of a window that is shut over what was sent already, too. */
static void test_shrunk_window(void)
{
	struct test_socket client;
	struct peer peer;
	unsigned seconds;

	stack->sysctl.retries = 5;
	be_called(&peer, &client, 1022);
	put(&client, "waits", 5, 0);
	say_no_room(&peer);
	answer_without_room(&peer, 60, true);
	tap_ok(!(ready(&client) & EPOLLERR), "a minute of a window that was taken back");
	seconds = seconds_to_error(&peer, &client, 500, false);
	tap_ok(near(seconds, 240, 15), "silent: given up after %u s", seconds);
	drop(&client);
	stack->sysctl.retries = 15;
	wire_clear();
}

static unsigned seconds_alive(struct peer *peer, bool answers)
{
	unsigned before = stack->index.counts.active, seconds = 0;

	while (stack->index.counts.active == before && seconds < 400) {
		answer_without_room(peer, 1, answers);
		seconds++;
	}
	return seconds;
}

/* Nobody waits for ever for a peer's room once the program has closed: as Linux, measured. */
static void test_orphan_without_room(void)
{
	for (unsigned way = 0; way < 4; way++) {
		bool answers = way & 1, data = way & 2;
		struct test_socket client;
		struct peer peer;
		unsigned seconds;

		call_without_room(&peer, &client, (uint16_t)(1023 + way));
		if (data)
			put(&client, "waits", 5, 0);
		drop(&client);
		seconds = seconds_alive(&peer, answers);
		tap_ok(answers ? near(seconds, 325, 15) : near(seconds, 103, 10),
		       "an orphan with %s, a peer that %s: given up after %u s",
		       data ? "data" : "a FIN", answers ? "answers" : "is silent", seconds);
	}
	wire_clear();
}

/* As Linux, who looks for that with its next probe, which is up to 2 minutes away. */
static void test_orphan_of_long(void)
{
	struct test_socket client;
	struct peer peer;
	unsigned seconds;

	call_without_room(&peer, &client, 1030);
	put(&client, "waits", 5, 0);
	answer_without_room(&peer, 600, true);
	drop(&client);
	seconds = seconds_alive(&peer, true);
	tap_ok(near(seconds, 120, 10),
	       "closed after 10 minutes without room: given up after %u s more", seconds);
	wire_clear();
}

static struct tcp_info info_of(struct test_socket *socket)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	ops->get_option(socket->handle, IPPROTO_TCP, TCP_INFO, &info, &length);
	return info;
}

/* Of a segment the peer acknowledges a part: SIOCOUTQ, and TCP_INFO, know it at once. */
static void test_partly_acknowledged(void)
{
	static char data[100];
	struct test_socket client;
	struct peer peer;

	be_called(&peer, &client, 1028);
	put(&client, data, sizeof(data), 0);
	tap_ok(ops->unsent(client.handle) == 100, "100 bytes are not acknowledged");
	peer.ack += 40;
	say(&peer, ACK, NULL, 0);
	tap_ok(ops->unsent(client.handle) == 60, "60 after an acknowledgement of 40: %zu",
	       ops->unsent(client.handle));
	tap_ok(info_of(&client).tcpi_bytes_acked == 1 + 40, "which are counted: %llu",
	       (unsigned long long)info_of(&client).tcpi_bytes_acked);
	ops->shutdown(client.handle, SHUT_WR);
	tap_ok(ops->unsent(client.handle) == 61, "a FIN has a number, too");
	peer.ack += 60;
	say(&peer, ACK, NULL, 0);
	tap_ok(ops->unsent(client.handle) == 1, "the FIN is left");
	peer.ack++;
	say(&peer, ACK, NULL, 0);
	tap_ok(ops->unsent(client.handle) == 0 && info_of(&client).tcpi_bytes_acked == 1 + 100 + 1,
	       "all is acknowledged: %llu", (unsigned long long)info_of(&client).tcpi_bytes_acked);
	drop(&client);
	wire_clear();
}

/* A peer without room is asked: that is neither data nor sent again, as Linux counts. */
static void test_count_of_probes(void)
{
	struct stack_counters before, after;
	struct test_socket client;
	struct segment segment;
	struct tcp_info info;
	struct peer peer;

	call_without_room(&peer, &client, 1029);
	put(&client, "waits", 5, 0);
	pass_ms(2000);
	tap_ok(wire_get_segment(&segment) && segment.size == 1, "a peer without room is asked");
	info = info_of(&client);
	tap_ok(info.tcpi_probes > 0 && info.tcpi_backoff > 0, "%u probes", info.tcpi_probes);
	tap_ok(info.tcpi_total_retrans == 0 && info.tcpi_retransmits == 0 &&
		       info.tcpi_bytes_retrans == 0,
	       "nothing was sent again: %u, %u, %llu bytes", info.tcpi_total_retrans,
	       info.tcpi_retransmits, (unsigned long long)info.tcpi_bytes_retrans);
	tap_ok(info.tcpi_bytes_sent == 1 && info.tcpi_data_segs_out == 1 &&
		       info.tcpi_unacked == 0 && info.tcpi_notsent_bytes == 5,
	       "nor for the first time: %llu bytes, %u segments, %u unacknowledged, %u waiting",
	       (unsigned long long)info.tcpi_bytes_sent, info.tcpi_data_segs_out, info.tcpi_unacked,
	       info.tcpi_notsent_bytes);
	wire_clear();
	ops->counters(stack, &before);
	say(&peer, ACK, NULL, 0);
	info = info_of(&client);
	ops->counters(stack, &after);
	tap_ok(wire_get_segment(&segment) && segment.size == 5 && info.tcpi_total_retrans == 0 &&
		       info.tcpi_bytes_sent == 6 && info.tcpi_unacked == 1 &&
		       info.tcpi_notsent_bytes == 0 &&
		       after.retransmissions == before.retransmissions,
	       "when there is room it is: %llu bytes, %u again",
	       (unsigned long long)info.tcpi_bytes_sent, info.tcpi_total_retrans);
	pass_ms(500);
	info = info_of(&client);
	tap_ok(wire_get_segment(&segment) && info.tcpi_total_retrans == 1,
	       "lost, it is sent again, and counted");
	drop(&client);
	wire_clear();
}

/* Two ends with closed windows must not answer each other's answers for ever. */
static void test_closed_both(void)
{
	static char data[1460];
	struct segment segment, last = { .window = 1 };
	struct test_socket client;
	struct peer peer;

	be_called(&peer, &client, 1009);
	set(&client, SOL_SOCKET, SO_RCVBUF, 4096);
	for (unsigned i = 0; i < 400; i++) {
		say(&peer, ACK, data, sizeof(data));
		pass_ms(10);
		while (wire_get_segment(&segment))
			last = segment;
		if (last.window == 0)
			break;
	}
	peer.seq = last.ack;
	tap_ok(last.window == 0, "the window is closed");
	wire_clear();
	say(&peer, ACK, NULL, 0);
	tap_ok(!wire_get_segment(&segment), "an acknowledgement at its edge is not answered");
	peer.seq--;
	say(&peer, ACK, NULL, 0);
	tap_ok(wire_get_segment(&segment) && segment.ack == peer.seq + 1,
	       "one before it is, as a probe");
	say(&peer, ACK, NULL, 0);
	tap_ok(!wire_get_segment(&segment), "but not each of them");
	pass_ms(500);
	wire_clear();
	say(&peer, ACK, NULL, 0);
	tap_ok(wire_get_segment(&segment), "half a second later again");
	drop(&client);
	wire_clear();
}

static void test_fin_wait(void)
{
	struct test_socket client;
	struct peer peer;
	unsigned ms = 0;

	pass_ms(200000); /* what the tests before have left to itself */
	be_called(&peer, &client, 1007);
	drop(&client);
	wire_clear();
	peer.ack++;
	say(&peer, ACK, NULL, 0);
	while (stack->index.counts.active && ms < 200000) {
		pass_ms(100);
		ms += 100;
	}
	tap_ok(near(ms, 60000, 1000), "FIN_WAIT_2 of a closed socket ends after %u ms", ms);
	wire_clear();
}

static void run_tests(void)
{
	open_wire();
	test_connect_timeout();
	test_unreachable();
	test_data_timeout();
	test_moved_peer();
	test_keepalive();
	test_closed_both();
	test_fin_wait();
	test_partly_acknowledged();
	test_count_of_probes();
	test_zero_window();
	test_fin_without_room();
	test_shrunk_window();
	test_orphan_without_room();
	test_orphan_of_long();
	tap_ok(complaints == 0, "lwIP never complained");
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
