/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When received data is acknowledged: together for what comes at a time, with the program's answer
 * if there is one, by the timer if nobody looks, at once where the peer must know.
 */
#include <netinet/tcp.h>

#include "tests/unit/stack/peer.h"

static char data[1460];

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
	tap_ok(complaints == 0, "lwIP never complained");
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
