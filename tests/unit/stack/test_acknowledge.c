/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When received data is acknowledged: together for what comes at a time, with the program's answer
 * if there is one, by the timer if nobody looks, at once where the peer must know.
 */
#include <linux/tcp.h>

#include "tests/unit/stack/append.h"
#include "tests/unit/stack/peer.h"

#define SIZE 1460u
static char data[SIZE];

/* How many segments the stack has sent since the last call; the last one is in segment. */
static unsigned sent(struct segment *segment)
{
	unsigned count = 0;

	while (wire_get_segment(segment))
		count++;
	return count;
}

/* Puts one on the wire without letting the stack look. */
static void queue(struct peer *peer, uint8_t flags, size_t size)
{
	struct segment segment = {
		.from = peer->port,
		.to = peer->stack_port,
		.seq = peer->seq,
		.ack = peer->ack,
		.flags = flags,
		.data = data,
		.size = size,
	};

	wire_put_segment(&segment);
	peer->seq += (uint32_t)size + ((flags & FIN) != 0);
}

static void connect_peer(struct test_socket *listener, struct test_socket *server,
			 struct peer *peer, uint16_t port)
{
	wire_clear();
	create(listener, AF_INET);
	ops->listen(listener->handle, address4(WIRE_OWN, port), 16);
	if (!greet(peer, 4000, port) || !accept_one(listener, server)) {
		printf("Bail out! no connection\n");
		exit(1);
	}
	wire_clear();
}

static void test_burst(void)
{
	struct test_socket listener, server;
	struct segment segment;
	struct peer peer;
	char buffer[65536];

	connect_peer(&listener, &server, &peer, 80);
	for (int i = 0; i < 20; i++)
		queue(&peer, ACK, sizeof(data));
	ops->poll(stack);
	tap_ok(sent(&segment) == 0, "a burst is not acknowledged while it is handled");
	ops->poll(stack);
	tap_ok(sent(&segment) == 1 && segment.ack == peer.seq && !segment.size,
	       "but once, all of it, with the next look");
	get(&server, buffer, sizeof(buffer), 0);
	sent(&segment);
	queue(&peer, ACK, 100);
	ops->poll(stack);
	sent(&segment);
	pass_ms(20);
	tap_ok(sent(&segment) == 1 && segment.ack == peer.seq,
	       "what nobody reads is acknowledged too");
	drop(&server);
	drop(&listener);
}

static void test_answer(void)
{
	struct test_socket listener, server;
	struct segment segment;
	struct peer peer;
	char buffer[1460];

	connect_peer(&listener, &server, &peer, 81);
	say(&peer, ACK | PSH, "question", 8);
	get(&server, buffer, sizeof(buffer), 0);
	put(&server, "answer", 6, 0);
	ops->poll(stack);
	tap_ok(sent(&segment) == 1 && segment.size == 6 && segment.ack == peer.seq,
	       "an answer carries the acknowledgement of the very first data");
	peer.ack += 6;
	say(&peer, ACK | PSH, "question", 8);
	ops->poll(stack);
	ops->poll(stack);
	tap_ok(sent(&segment) == 0, "who has answered is expected to answer again");
	pass_ms(20);
	tap_ok(sent(&segment) == 1 && segment.ack == peer.seq, "for 10 ms or so");
	queue(&peer, ACK, 1460);
	queue(&peer, ACK | PSH, 1000);
	ops->poll(stack);
	ops->poll(stack);
	tap_ok(sent(&segment) == 1 && segment.ack == peer.seq, "but not with a second segment");
	drop(&server);
	drop(&listener);
}

static void test_end(void)
{
	struct test_socket listener, server;
	struct segment segment;
	struct peer peer;

	connect_peer(&listener, &server, &peer, 82);
	say(&peer, ACK | FIN, NULL, 0);
	tap_ok(sent(&segment) == 0, "a FIN waits for the next look");
	ops->poll(stack);
	tap_ok(sent(&segment) == 1 && segment.ack == peer.seq && !(segment.flags & FIN),
	       "and is acknowledged then");
	drop(&server);
	tap_ok(sent(&segment) == 1 && (segment.flags & FIN), "the own one follows with close()");
	drop(&listener);

	connect_peer(&listener, &server, &peer, 83);
	say(&peer, ACK | FIN, NULL, 0);
	drop(&server);
	tap_ok(sent(&segment) == 1 && (segment.flags & FIN) && segment.ack == peer.seq,
	       "close() at once: one segment does both");
	drop(&listener);
}

static void test_at_once(void)
{
	struct test_socket listener, server;
	struct segment segment;
	struct peer peer;

	connect_peer(&listener, &server, &peer, 84);
	peer.seq += 1000;
	say(&peer, ACK, data, 500);
	tap_ok(sent(&segment) == 1 && segment.ack == peer.seq - 1500,
	       "what is out of order is answered at once");
	peer.seq -= 1500;
	set(&server, IPPROTO_TCP, TCP_QUICKACK, 1);
	say(&peer, ACK, data, 1000);
	tap_ok(sent(&segment) == 1 && segment.ack == peer.seq + 500, "TCP_QUICKACK: all is");
	drop(&server);
	drop(&listener);

	/* A socket that goes while something is owed. */
	connect_peer(&listener, &server, &peer, 85);
	say(&peer, ACK, data, 1000);
	drop(&server);
	ops->poll(stack);
	tap_ok(sent(&segment) == 1 && (segment.flags & RST), "unread data and close: a reset");
	drop(&listener);
}

/* The SACK blocks of a segment; returns how many. */
static unsigned blocks_of(const struct segment *segment, uint32_t (*blocks)[2])
{
	const uint8_t *option = segment->options;
	unsigned count = 0;

	if (segment->option_size < 12 || option[2] != 5)
		return 0;
	for (unsigned at = 4; at + 8 <= 2u + option[3]; at += 8, count++) {
		memcpy(blocks[count], option + at, 8);
		blocks[count][0] = ntohl(blocks[count][0]);
		blocks[count][1] = ntohl(blocks[count][1]);
	}
	return count;
}

/* As Linux's tcp_comp_sack: a sender needs three to see a gap, and then few. */
static void test_gap(void)
{
	struct test_socket listener, server;
	struct segment segment;
	uint32_t blocks[4][2];
	struct peer peer;
	uint32_t first;
	char buffer[1460];

	connect_peer(&listener, &server, &peer, 86);
	first = peer.seq;
	peer.seq += sizeof(data);
	for (int i = 0; i < 40; i++)
		queue(&peer, ACK, sizeof(data));
	ops->poll(stack);
	ops->poll(stack);
	advance_clock(1100 * 1000);
	ops->poll(stack);
	tap_ok(sent(&segment) == 4 && segment.ack == first && blocks_of(&segment, blocks) == 1 &&
		       blocks[0][0] == first + SIZE && blocks[0][1] == peer.seq,
	       "40 segments behind a gap: three acknowledgements, and one for the others");
	peer.seq = first;
	queue(&peer, ACK, sizeof(data));
	ops->poll(stack);
	ops->poll(stack);
	tap_ok(sent(&segment) == 1 && segment.ack == first + 41 * SIZE && !segment.option_size,
	       "the gap is filled: one at the next look");
	tap_ok(ops->readable(server.handle) == 41 * sizeof(data), "and all of it can be read");
	get(&server, buffer, sizeof(buffer), 0);
	sent(&segment);
	say(&peer, ACK, data, sizeof(data));
	tap_ok(sent(&segment) == 1 && blocks_of(&segment, blocks) == 1 &&
		       blocks[0][0] == first + SIZE && blocks[0][1] == first + 2 * SIZE,
	       "what comes twice is told (D-SACK)");
	ops->poll(stack);
	advance_clock(1100 * 1000);
	ops->poll(stack);
	tap_ok(sent(&segment) == 0, "once");
	drop(&server);
	drop(&listener);
	wire_clear();
}

/* What lies behind a gap arrives unharmed, however it is put together. */
static void test_reassembly(void)
{
	static uint8_t bytes[60 * 1000], read_back[sizeof(bytes)];
	struct test_socket listener, server;
	struct peer peer;
	uint32_t first;
	size_t done = 0;

	connect_peer(&listener, &server, &peer, 87);
	first = peer.seq;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	/* In thirds: each but its first segment, then the firsts from the last on. */
	for (unsigned i = 0; i < 60; i++) {
		peer.seq = first + i * 1000;
		if (i % 20)
			say(&peer, ACK, bytes + i * 1000, 1000);
	}
	for (unsigned third = 3; third-- > 0;) {
		peer.seq = first + third * 20000;
		say(&peer, ACK, bytes + third * 20000, 1000);
	}
	while (done < sizeof(bytes)) {
		ssize_t got = get(&server, read_back + done, sizeof(read_back) - done, 0);

		if (got <= 0)
			break;
		done += (size_t)got;
	}
	tap_ok(done == sizeof(bytes) && !memcmp(bytes, read_back, done),
	       "three runs behind gaps become one again: %zu bytes", done);
	drop(&server);
	drop(&listener);
	wire_clear();
}

/* Packet sockets bring segments of up to 64 KB, which the kernel has put together. */
static void test_large_segments(void)
{
	struct test_socket listener, server;
	struct peer peer;

	connect_peer(&listener, &server, &peer, 88);
	peer.seq += sizeof(data);
	say(&peer, ACK, data, sizeof(data));
	tap_ok(!append_behind_gap(20000), "a segment of more than a block stays whole");
	tap_ok(append_behind_gap(1000), "a smaller one is copied");
	drop(&server);
	drop(&listener);
	wire_clear();
}

/* The stack learns where the peer is; from then on no answer waits for ARP. */
static void meet(void)
{
	struct test_socket client;
	struct peer peer;

	be_called(&peer, &client, 7000);
	drop(&client);
	wire_clear();
}

static void run_tests(void)
{
	open_wire();
	meet();
	test_burst();
	test_answer();
	test_end();
	test_at_once();
	test_gap();
	test_reassembly();
	test_large_segments();
	tap_ok(complaints == 0, "lwIP never complained");
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
