/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * More half-open connections than a listener has room for: none is given up for another, SYN
 * cookies take the rest, and only what is forged or too old is reset.
 */
#include <linux/tcp.h>
#include <netinet/in.h>

#include "tests/unit/stack/peer.h"

#define ROOM 100 /* for half-open connections */

static struct test_socket listener;

/* SYNs that nobody goes on with, as many as there is room for. */
static void flood(void)
{
	struct segment syn = { .to = 80, .flags = SYN, .seq = first_sequence };

	for (unsigned i = 0; i < ROOM; i++) {
		syn.from = (uint16_t)(10000 + i);
		wire_put_segment(&syn);
		ops->poll(stack);
	}
	wire_clear();
}

static struct tcp_info information(struct test_socket *socket)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	ops->get_option(socket->handle, IPPROTO_TCP, TCP_INFO, &info, &length);
	return info;
}

/* A peer says SYN with these options; what is answered is in *answer. */
static bool ask(struct peer *peer, uint16_t port, bool v6, const uint8_t *options, size_t size,
		struct segment *answer)
{
	struct segment syn = { .from = port,
			       .to = 80,
			       .seq = first_sequence,
			       .flags = SYN,
			       .options = options,
			       .option_size = size,
			       .v6 = v6 };

	wire_clear();
	wire_put_segment(&syn);
	ops->poll(stack);
	ops->poll(stack); /* once more: ARP may have come between */
	*peer = (struct peer){ .port = port, .stack_port = 80, .seq = first_sequence + 1 };
	if (!wire_get_segment(answer) || answer->flags != (SYN | ACK) || answer->ack != peer->seq)
		return false;
	peer->ack = answer->seq + 1;
	return true;
}

static void confirm(const struct peer *peer, bool v6, const char *data)
{
	wire_put_segment(&(struct segment){ .from = peer->port,
					    .to = peer->stack_port,
					    .seq = peer->seq,
					    .ack = peer->ack,
					    .flags = ACK,
					    .window = 500,
					    .data = data,
					    .size = strlen(data),
					    .v6 = v6 });
	ops->poll(stack);
}

static bool is_reset(const struct peer *peer)
{
	struct segment answer;
	bool found;

	do
		found = wire_get_segment(&answer);
	while (found && answer.to != peer->port); /* what other tests have left is sent again */
	return found && (answer.flags & RST) && answer.seq == peer->ack;
}

static void test_room(void)
{
	unsigned before = stack->index.counts.active;
	struct test_socket server;
	struct segment answer;
	struct peer first, last;

	ask(&first, 9000, false, syn_options, sizeof(syn_options), &answer);
	flood();
	tap_ok(stack->index.counts.active - before == ROOM, "as many as there is room for: %u",
	       stack->index.counts.active - before);
	tap_ok(ask(&last, 9001, false, syn_options, sizeof(syn_options), &answer),
	       "one more is answered");
	tap_ok(stack->index.counts.active - before == ROOM, "without memory");
	confirm(&last, false, "last");
	tap_ok(accept_one(&listener, &server), "and gets in");
	drop(&server);
	wire_clear();
	confirm(&first, false, "first");
	if (tap_ok(accept_one(&listener, &server), "and so does the first: nobody is pushed out"))
		drop(&server);
	flood();
	tap_ok(melin_index_check() == 0, "the index is whole: %d", melin_index_check());
}

static void test_options(bool v6)
{
	static const uint8_t mss_only[] = { 2, 4, 0x05, 0x50 };			   /* 1360 */
	static const uint8_t none[] = { 1, 1, 1, 1 };				   /* 536 */
	static const uint8_t all[] = { 2, 4, 0x05, 0x78, 1, 3, 3, 9, 1, 1, 4, 2 }; /* 1400 */
	static const struct {
		const uint8_t *options;
		size_t size;
		unsigned segment, scale;
		bool sack;
	} cases[] = {
		{ syn_options, sizeof(syn_options), 1460, 7, true },
		{ mss_only, sizeof(mss_only), 1300, 0, false },
		{ none, sizeof(none), 536, 0, false },
		{ all, sizeof(all), 1380, 8, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned most = v6 && cases[i].segment > 1440 ? 1440 : cases[i].segment;
		bool scaled = cases[i].scale, answered;
		struct test_socket server;
		struct segment answer;
		struct tcp_info info;
		struct peer peer;
		char got[8] = "";

		answered = ask(&peer, (uint16_t)(9100 + i), v6, cases[i].options, cases[i].size,
			       &answer);
		tap_ok(answered && answer.option_size == 4u + 4 * scaled + 4 * cases[i].sack,
		       "a cookie%s, with the options that were offered", v6 ? " over IPv6" : "");
		confirm(&peer, v6, "hello");
		if (!tap_ok(accept_one(&listener, &server), "is redeemed"))
			continue;
		info = information(&server);
		tap_ok(info.tcpi_snd_mss == most &&
			       !(info.tcpi_options & TCPI_OPT_SACK) == !cases[i].sack &&
			       !(info.tcpi_options & TCPI_OPT_WSCALE) == !scaled &&
			       info.tcpi_snd_wscale == cases[i].scale &&
			       info.tcpi_snd_wnd == 500u << cases[i].scale,
		       "segments of %u, scale %u, window %u", info.tcpi_snd_mss,
		       info.tcpi_snd_wscale, info.tcpi_snd_wnd);
		tap_ok(get(&server, got, sizeof(got), 0) == 5 && !strcmp(got, "hello") &&
			       put(&server, "back", 4, 0) == 4 && wire_get_segment(&answer) &&
			       answer.seq == peer.ack && answer.ack == peer.seq + 5,
		       "and data goes both ways");
		drop(&server);
	}
	wire_clear();
}

/* The SYN comes again when there is room: the answers to both are good. */
static void test_twice(void)
{
	struct test_socket server;
	struct segment answer;
	struct peer cookie, embryo;
	char got[8] = "";

	ask(&cookie, 9400, false, syn_options, sizeof(syn_options), &answer);
	wire_put_segment(&(struct segment){
		.from = 10000, .to = 80, .seq = first_sequence + 1, .flags = RST });
	ops->poll(stack); /* one of the flood ends */
	ask(&embryo, 9400, false, syn_options, sizeof(syn_options), &answer);
	tap_ok(cookie.ack != embryo.ack, "the second SYN has another answer");
	confirm(&cookie, false, "early");
	tap_ok(accept_one(&listener, &server) && get(&server, got, sizeof(got), 0) == 5,
	       "the client that took the first one gets in");
	tap_ok(melin_index_check() == 0, "the index is whole: %d", melin_index_check());
	drop(&server);
	wire_clear();
	flood();
	ask(&cookie, 9401, false, syn_options, sizeof(syn_options), &answer);
	cookie.seq += 5;
	confirm(&cookie, false, "later");
	tap_ok(!wire_get_segment(&answer), "data of which the beginning was lost is not reset");
	cookie.seq -= 5;
	confirm(&cookie, false, "first");
	tap_ok(accept_one(&listener, &server), "so that it can come again");
	drop(&server);
	flood();
}

static void test_forged(void)
{
	struct test_socket server;
	struct segment answer;
	struct peer peer;

	ask(&peer, 9200, false, syn_options, sizeof(syn_options), &answer);
	peer.ack += 1u << 20;
	confirm(&peer, false, "");
	tap_ok(is_reset(&peer) && !accept_one(&listener, &server), "a forged cookie is reset");
	peer.ack -= 1u << 20;
	peer.seq++;
	confirm(&peer, false, "");
	tap_ok(is_reset(&peer), "and one of another SYN");
	peer.seq--;
	peer.port++;
	confirm(&peer, false, "");
	tap_ok(is_reset(&peer), "and one of another port");
	peer.port--;
	advance_clock(45ull * 1000000000);
	wire_clear();
	confirm(&peer, false, "");
	tap_ok(accept_one(&listener, &server), "a good one waits for most of a minute");
	drop(&server);
	ask(&peer, 9203, false, syn_options, sizeof(syn_options), &answer);
	advance_clock(130ull * 1000000000);
	ask(&(struct peer){ 0 }, 9204, false, syn_options, sizeof(syn_options), &answer);
	confirm(&peer, false, "");
	tap_ok(is_reset(&peer), "but not for two");
	wire_clear();
}

/* What has ended, by a reset or after a minute, takes no room. */
static void test_ended(void)
{
	struct test_socket other;
	struct segment answer;
	unsigned before;

	drop(&listener); /* and its half-open ones */
	create(&listener, AF_INET6);
	ops->listen(listener.handle, address6("::", 80), 50);
	before = stack->index.counts.active;
	flood();
	for (unsigned i = 0; i < ROOM / 2; i++) {
		wire_put_segment(&(struct segment){ .from = (uint16_t)(10000 + i),
						    .to = 80,
						    .seq = first_sequence + 1,
						    .flags = RST });
		ops->poll(stack);
	}
	tap_ok(stack->index.counts.active - before == ROOM / 2, "half of them are reset");
	ask(&(struct peer){ 0 }, 9500, false, syn_options, sizeof(syn_options), &answer);
	tap_ok(stack->index.counts.active - before == ROOM / 2 + 1, "there is room for others");
	pass_ms(70000);
	wire_clear();
	tap_ok(stack->index.counts.active - before == 0, "after a minute all are gone");
	flood();
	tap_ok(stack->index.counts.active - before == ROOM, "and there is room for as many again");
	create(&other, AF_INET); /* nothing is left that would be in the way of a new one */
	drop(&listener);
	tap_ok(stack->index.counts.active - before == 0, "which end with the listener");
	drop(&other);
	create(&listener, AF_INET6);
	ops->listen(listener.handle, address6("::", 80), 50);
	introduce();
}

static void test_full_queue(void)
{
	struct test_socket small, server;
	struct segment answer;
	struct peer one, two;

	create(&small, AF_INET);
	ops->listen(small.handle, address4(WIRE_OWN, 81), 0);
	stack->sysctl.syncookies = 2;
	ask(&one, 9300, false, syn_options, sizeof(syn_options), &answer);
	tap_ok(answer.from == 80, "with tcp_syncookies 2 each SYN gets one");
	say(&(struct peer){ .port = 9301, .stack_port = 81, .seq = 1 }, SYN, NULL, 0);
	wire_get_segment(&answer);
	one = (struct peer){ .port = 9301, .stack_port = 81, .seq = 2, .ack = answer.seq + 1 };
	say(&(struct peer){ .port = 9302, .stack_port = 81, .seq = 1 }, SYN, NULL, 0);
	wire_get_segment(&answer);
	two = (struct peer){ .port = 9302, .stack_port = 81, .seq = 2, .ack = answer.seq + 1 };
	confirm(&one, false, "1");
	ops->poll(stack); /* acknowledged now */
	wire_clear();
	confirm(&two, false, "2");
	tap_ok(!wire_get_segment(&answer), "a cookie for a full queue is ignored");
	say(&(struct peer){ .port = 9303, .stack_port = 81, .seq = 1 }, SYN, NULL, 0);
	tap_ok(!wire_get_segment(&answer), "and no new one is given");
	accept_one(&small, &server);
	drop(&server);
	confirm(&two, false, "2");
	tap_ok(accept_one(&small, &server), "when there is room again it is redeemed");
	drop(&server);
	stack->sysctl.syncookies = 0;
	stack->sysctl.max_syn_backlog = 1;
	say(&(struct peer){ .port = 9304, .stack_port = 81, .seq = 1 }, SYN, NULL, 0);
	wire_clear();
	say(&(struct peer){ .port = 9305, .stack_port = 81, .seq = 1 }, SYN, NULL, 0);
	tap_ok(!wire_get_segment(&answer), "with tcp_syncookies 0 more SYNs are dropped");
	drop(&small);
	wire_clear();
}

static void run_tests(void)
{
	open_wire();
	introduce();
	stack->sysctl.syncookies = 1;
	stack->sysctl.max_syn_backlog = ROOM;
	create(&listener, AF_INET6);
	ops->listen(listener.handle, address6("::", 80), 50);
	test_room();
	test_options(false);
	test_options(true);
	test_twice();
	test_forged();
	test_ended();
	test_full_queue();
	drop(&listener);
	tap_ok(complaints == 0, "lwIP never complained");
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
