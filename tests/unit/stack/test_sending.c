/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a connection's data leaves, in virtual time, against a peer that the test plays: what holds
 * small segments back, and what SACK and a probe at the end mend. Not for when the stack gives up
 * (test_timers.c).
 */
#include <linux/tcp.h>

#include "tests/unit/stack/peer.h"

static void test_nagle(void)
{
	struct test_socket client;
	struct segment segment;
	struct peer peer;
	unsigned ms;

	be_called(&peer, &client, 1005);
	put(&client, "one", 3, 0);
	put(&client, "two", 3, 0);
	tap_ok(wire_get_segment(&segment) && segment.size == 3, "a small segment goes");
	tap_ok(!wire_get_segment(&segment), "the next waits (Nagle)");
	peer.ack += 3;
	say(&peer, ACK, NULL, 0);
	tap_ok(wire_get_segment(&segment) && segment.size == 3 && !memcmp(segment.data, "two", 3),
	       "until the first is acknowledged");
	set(&client, IPPROTO_TCP, TCP_NODELAY, 1);
	put(&client, "now", 3, 0);
	tap_ok(wire_get_segment(&segment) && segment.size == 3, "TCP_NODELAY: at once");
	peer.ack += 6;
	say(&peer, ACK, NULL, 0);
	wire_clear();
	set(&client, IPPROTO_TCP, TCP_CORK, 1);
	put(&client, "head", 4, 0);
	tap_ok(!wire_get_segment(&segment), "TCP_CORK holds");
	put(&client, "body", 4, 0);
	set(&client, IPPROTO_TCP, TCP_CORK, 0);
	tap_ok(wire_get_segment(&segment) && segment.size == 8, "and lets go as one segment");
	peer.ack += 8;
	say(&peer, ACK, NULL, 0);
	wire_clear();
	put(&client, "more", 4, MSG_MORE);
	tap_ok(!wire_get_segment(&segment), "MSG_MORE holds");
	ms = wait_segment(&segment, 1000);
	tap_ok(near(ms, 200, 50) && segment.size == 4, "for %u ms at most", ms);
	drop(&client);
	wire_clear();
}

/* A request comes and is read; the answer is sent in two calls. Segments after each of them. */
static void answer_in_two(struct peer *peer, struct test_socket *client, unsigned counts[2])
{
	struct segment segment;
	char request[3];

	say(peer, ACK | PSH, "ask", 3);
	get(client, request, sizeof(request), 0);
	wire_clear();
	for (int part = 0; part < 2; part++) {
		counts[part] = 0;
		put(client, part ? "body" : "head", 4, 0);
		while (wire_get_segment(&segment)) {
			counts[part]++;
			peer->ack = segment.seq + (uint32_t)segment.size;
		}
	}
	say(peer, ACK, NULL, 0);
	wire_clear();
}

static void test_pairs(void)
{
	struct test_socket client;
	struct segment segment;
	struct peer peer;
	unsigned counts[2], apart = 0;
	char request[3];

	be_called(&peer, &client, 1017);
	set(&client, IPPROTO_TCP, TCP_NODELAY, 1);
	for (int turn = 0; turn < 8; turn++) {
		answer_in_two(&peer, &client, counts);
		apart += counts[0] == 1 && counts[1] == 1;
	}
	tap_ok(apart == 8, "two sends are two segments, at first: %u", apart);
	answer_in_two(&peer, &client, counts);
	tap_ok(counts[0] == 0 && counts[1] == 1, "and one when that is the habit: %u, %u",
	       counts[0], counts[1]);
	say(&peer, ACK | PSH, "ask", 3);
	get(&client, request, sizeof(request), 0);
	wire_clear();
	put(&client, "head", 4, 0);
	tap_ok(!wire_get_segment(&segment), "the first waits");
	ops->poll(stack);
	tap_ok(wire_get_segment(&segment) && segment.size == 4,
	       "until the program does something else");
	peer.ack += 4;
	say(&peer, ACK | PSH, "ask", 3);
	get(&client, request, sizeof(request), 0);
	wire_clear();
	put(&client, "head", 4, 0);
	tap_ok(wire_get_segment(&segment) && segment.size == 4, "which ends the habit");
	drop(&client);
	wire_clear();
}

/* What comes second waits for more itself: the first part, which does not, has left. */
static void test_pair_with_more(void)
{
	struct test_socket client;
	struct segment segment;
	struct peer peer;
	unsigned counts[2];
	char request[3];

	be_called(&peer, &client, 1018);
	set(&client, IPPROTO_TCP, TCP_NODELAY, 1);
	for (int turn = 0; turn < 9; turn++)
		answer_in_two(&peer, &client, counts);
	say(&peer, ACK | PSH, "ask", 3);
	get(&client, request, sizeof(request), 0);
	wire_clear();
	put(&client, "head", 4, 0);
	tap_ok(!wire_get_segment(&segment), "the first waits once more");
	put(&client, "held", 4, MSG_MORE);
	tap_ok(wire_get_segment(&segment) && segment.size == 4 && !memcmp(segment.data, "head", 4),
	       "until another one comes that waits for more");
	peer.ack += 4;
	ops->poll(stack);
	tap_ok(!wire_get_segment(&segment), "which waits on");
	put(&client, "body", 4, 0);
	tap_ok(wire_get_segment(&segment) && segment.size == 8, "for more");
	drop(&client);
	wire_clear();
}

static void test_sack(void)
{
	static char data[14600];
	struct test_socket client;
	struct segment segment, answer;
	struct peer peer;
	uint8_t sack[12] = { 1, 1, 5, 10 };
	uint32_t right;
	unsigned count = 0;

	be_called(&peer, &client, 1006);
	put(&client, data, sizeof(data), 0);
	while (wire_get_segment(&segment))
		count++;
	tap_ok(count == 10, "ten segments go at once (RFC 6928)");
	/* All but the first have arrived; the window moves, so that lwIP sees no duplicates. */
	answer = (struct segment){ .from = peer.port,
				   .to = peer.stack_port,
				   .seq = peer.seq,
				   .ack = peer.ack,
				   .flags = ACK,
				   .options = sack,
				   .option_size = 12 };
	for (unsigned i = 2; i <= 10; i++) {
		uint32_t left = htonl(peer.ack + 1460);

		right = htonl(peer.ack + i * 1460);
		memcpy(sack + 4, &left, 4);
		memcpy(sack + 8, &right, 4);
		answer.window = (uint16_t)(1000 + i);
		wire_put_segment(&answer);
		ops->poll(stack);
	}
	tap_ok(wire_get_segment(&segment) && segment.seq == peer.ack && segment.size == 1460,
	       "the first is sent again");
	tap_ok(!wire_get_segment(&segment), "and nothing else");
	answer.ack += 14600;
	answer.option_size = 0;
	wire_put_segment(&answer);
	ops->poll(stack);
	tap_ok(ops->unsent(client.handle) == 0, "all is acknowledged");
	drop(&client);
	wire_clear();
}

/* The peer has segments from the first to the last of those that are not acknowledged. */
static void say_sack(struct peer *peer, unsigned first, unsigned last)
{
	uint32_t edges[3] = { htonl(0x0101050a), htonl(peer->ack + (first - 1) * 1460),
			      htonl(peer->ack + last * 1460) };
	struct segment answer = { .from = peer->port,
				  .to = peer->stack_port,
				  .seq = peer->seq,
				  .ack = peer->ack,
				  .flags = ACK,
				  .options = edges,
				  .option_size = sizeof(edges) };

	wire_put_segment(&answer);
	ops->poll(stack);
}

/*
 * A queue has grown on the way: round trips are far above the least. What arrives soon after it was
 * sent again had been on its way, and says nothing of what else was sent before that.
 */
static void test_sack_late(void)
{
	static const unsigned round_trips[] = { 1, 20, 40, 60, 80, 80, 80, 80 };
	static char data[14600];
	struct test_socket client;
	struct segment segment;
	struct peer peer;
	unsigned count = 0;

	be_called(&peer, &client, 1008);
	for (unsigned i = 0; i < sizeof(round_trips) / sizeof(round_trips[0]); i++) {
		put(&client, data, 1460, 0);
		pass_ms(round_trips[i]);
		peer.ack += 1460;
		say(&peer, ACK, NULL, 0);
	}
	wire_clear();
	put(&client, data, sizeof(data), 0);
	while (wire_get_segment(&segment))
		count++;
	tap_ok(count == 10, "ten segments are on their way");
	pass_ms(80);
	for (unsigned last = 3; last <= 6; last++)
		say_sack(&peer, 3, last);
	count = 0;
	while (wire_get_segment(&segment))
		count += segment.seq == peer.ack || segment.seq == peer.ack + 1460;
	tap_ok(count == 2, "the first two are sent again");
	pass_ms(5);
	wire_clear();
	say_sack(&peer, 2, 6);
	tap_ok(!wire_get_segment(&segment), "the second was only late: the rest is waited for");
	for (unsigned last = 7; last <= 10; last++)
		say_sack(&peer, 2, last);
	tap_ok(!wire_get_segment(&segment), "and comes");
	peer.ack += 14600;
	say(&peer, ACK, NULL, 0);
	tap_ok(ops->unsent(client.handle) == 0, "all is acknowledged");
	drop(&client);
	wire_clear();
}

/*
 * RFC 8985 7: the end of a flight is lost, and nothing that follows would tell. As late as the
 * kernel, whose timers count in ticks: after two round trips of a millisecond and 2 ms, and one
 * tick more at most.
 */
static void test_tail_loss(uint16_t port, uint32_t tick_us)
{
	static char data[14600];
	const uint32_t soonest_us = 1900 + tick_us, latest_us = 4100 + 2 * tick_us;
	const uint32_t before_us = stack->sysctl.tick_us;
	struct test_socket client;
	struct segment segment;
	struct peer peer;
	unsigned count = 0;

	stack->sysctl.tick_us = tick_us;
	be_called(&peer, &client, port);
	put(&client, data, 1460, 0);
	advance_clock(1000 * 1000);
	peer.ack += 1460;
	say(&peer, ACK, NULL, 0); /* a round trip of a millisecond */
	wire_clear();
	put(&client, data, sizeof(data), 0);
	while (wire_get_segment(&segment))
		count++;
	advance_clock(1000 * 1000);
	peer.ack += 8 * 1460;
	say(&peer, ACK, NULL, 0);
	advance_clock(soonest_us * 1000ull);
	ops->poll(stack);
	tap_ok(count == 10 && !wire_get_segment(&segment),
	       "nothing is sent again within a tick of %u us", tick_us);
	advance_clock((latest_us - soonest_us) * 1000ull);
	ops->poll(stack);
	tap_ok(wire_get_segment(&segment) && segment.seq == peer.ack + 1460,
	       "but the last segment after two round trips, 2 ms and a tick");
	tap_ok(!wire_get_segment(&segment), "alone");
	advance_clock(1000 * 1000);
	say_sack(&peer, 2, 2);
	advance_clock(1000 * 1000);
	ops->poll(stack);
	tap_ok(wire_get_segment(&segment) && segment.seq == peer.ack,
	       "its arrival shows that the one before it is lost");
	peer.ack += 2 * 1460;
	say(&peer, ACK, NULL, 0);
	tap_ok(ops->unsent(client.handle) == 0, "all is acknowledged");
	stack->sysctl.tick_us = before_us;
	drop(&client);
	wire_clear();
}

/* The program computes, and nobody looks for frames: what has come meanwhile is no loss. */
static void test_late_look(void)
{
	static char data[2 * 1460];
	struct test_socket client;
	struct segment segment, answer = { .flags = ACK };
	struct peer peer;
	unsigned again = 0;

	be_called(&peer, &client, 1027);
	put(&client, data, sizeof(data), 0);
	wire_clear();
	answer.from = peer.port;
	answer.to = peer.stack_port;
	answer.seq = peer.seq;
	answer.ack = peer.ack + sizeof(data);
	wire_put_segment(&answer);
	advance_clock(2000 * 1000000ull);
	set(&client, IPPROTO_TCP, TCP_NODELAY, 1);
	while (wire_get_segment(&segment)) /* those before have left orphans */
		again += segment.to == peer.port;
	tap_ok(again == 0 && ops->unsent(client.handle) == 0,
	       "an acknowledgement that nobody has looked for yet: nothing is sent again");
	drop(&client);
	wire_clear();
}

/* A program writes, closes and goes: what it wrote is recovered as before. */
static void test_loss_after_close(void)
{
	static char data[14600];
	struct test_socket client;
	struct segment segment;
	struct peer peer;
	unsigned count = 0;

	be_called(&peer, &client, 1011);
	put(&client, data, sizeof(data), 0);
	drop(&client);
	while (wire_get_segment(&segment))
		count++;
	tap_ok(count == 11 && (segment.flags & FIN), "ten segments and a FIN");
	advance_clock(1000 * 1000);
	for (unsigned last = 2; last <= 5; last++)
		say_sack(&peer, 2, last);
	tap_ok(wire_get_segment(&segment) && segment.seq == peer.ack && segment.size == 1460,
	       "the first is sent again at once");
	tap_ok(!wire_get_segment(&segment), "and nothing else");
	peer.ack += 14601;
	say(&peer, ACK, NULL, 0);
	say(&peer, RST | ACK, NULL, 0);
	wire_clear();
}

static void run_tests(void)
{
	open_wire();
	test_nagle();
	test_pairs();
	test_pair_with_more();
	test_sack();
	test_sack_late();
	test_tail_loss(1010, 4000);
	test_tail_loss(1030, 1000);
	test_late_look();
	test_loss_after_close();
	tap_ok(complaints == 0, "lwIP never complained");
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
