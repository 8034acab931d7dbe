/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bound on all connections' memory: many peers that do not read, many programs that do not; and
 * each connection goes on nevertheless.
 */
#include "tests/unit/stack/peer.h"

#define PEERS 1000
#define MB    (1u << 20)

static struct test_socket listener, servers[PEERS];
static struct peer peers[PEERS];
static char data[300000];

static void meet(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		greet(&peers[i], (uint16_t)(20000 + i), 80);
		if (!accept_one(&listener, &servers[i])) {
			printf("Bail out! no connection %u\n", i);
			exit(1);
		}
		wire_clear();
	}
}

static void part(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		set(&servers[i], SOL_SOCKET, SO_LINGER, 0);
		drop(&servers[i]);
		say(&peers[i], RST, NULL, 0);
		wire_clear();
	}
}

static void announce(const struct peer *peer, uint16_t window)
{
	wire_put_segment(&(struct segment){ .from = peer->port,
					    .to = peer->stack_port,
					    .seq = peer->seq,
					    .ack = peer->ack,
					    .flags = ACK,
					    .window = window,
					    .shut = !window });
	ops->poll(stack);
}

/* Writes until there is no room. */
static size_t fill(struct test_socket *socket)
{
	size_t all = 0;
	ssize_t done;

	while ((done = put(socket, data, sizeof(data), 0)) > 0)
		all += (size_t)done;
	return all;
}

/* The peer takes all that comes, until nothing does; returns how much that was. */
static size_t take_all(struct peer *peer)
{
	struct segment segment;
	size_t all = 0, before;

	do {
		before = all;
		announce(peer, 65535);
		while (wire_get_segment(&segment)) {
			if (segment.to != peer->port || segment.seq != peer->ack)
				continue;
			peer->ack += (uint32_t)segment.size;
			all += segment.size;
		}
	} while (all > before);
	return all;
}

static void test_closed_windows(void)
{
	size_t first = 0, last = 0, all = 0, before, taken;

	pressure_start(&stack->pressure, 0);
	meet(PEERS);
	before = stack->allocation.used;
	for (unsigned i = 0; i < PEERS; i++) {
		announce(&peers[i], 0);
		last = fill(&servers[i]);
		first = i ? first : last;
		all += last;
		wire_clear();
	}
	tap_ok(first >= 200000, "the first may write a whole buffer: %zu KB", first >> 10);
	tap_ok(last >= PRESSURE_GUARANTEED && last <= 64 << 10,
	       "the thousandth a small one: %zu KB", last >> 10);
	tap_ok(stack->allocation.used - before < 96 * MB,
	       "a thousand closed windows hold %zu MB, of %zu MB of data",
	       (stack->allocation.used - before) / MB, all / MB);
	tap_ok(!(ready(&servers[PEERS - 1]) & EPOLLOUT), "who may not write is not writable");
	take_events(&servers[PEERS - 1]);
	taken = take_all(&peers[PEERS - 1]);
	tap_ok(taken == last, "all of it comes when the window opens: %zu", taken);
	tap_ok(take_events(&servers[PEERS - 1]) & EPOLLOUT, "and there is room again");
	tap_ok(fill(&servers[PEERS - 1]) > last, "for more than before: the peer reads");
	part(PEERS);
	tap_ok(stack->allocation.used < before, "all is given back");
}

static void test_limit_for_sending(void)
{
	size_t got, all = 0;
	unsigned rounds = 0;

	meet(100);
	pressure_start(&stack->pressure, 1 * MB);
	for (unsigned i = 0; i < 100; i++) {
		announce(&peers[i], 0);
		got = fill(&servers[i]);
		wire_clear();
	}
	tap_ok(pressure_now() == PRESSURE_LIMIT && got >= PRESSURE_GUARANTEED && got < 8000,
	       "at the limit each can write %zu bytes", got);
	tap_ok(stack->allocation.used < 2 * MB, "the limit is 1 MB, and %zu KB are used",
	       stack->allocation.used >> 10);
	while (all < 100000 && rounds++ < 1000) {
		fill(&servers[99]);
		all += take_all(&peers[99]);
	}
	tap_ok(all >= 100000, "but data goes on: %zu bytes in %u rounds", all, rounds);
	fill(&servers[98]);
	wire_clear();
	drop(&servers[98]);
	servers[98].handle = NULL;
	part(98);
	drop(&servers[99]);
	pressure_start(&stack->pressure, 0);
	say(&peers[98], RST, NULL, 0);
	say(&peers[99], RST, NULL, 0);
	wire_clear();
}

/* What the stack says of its window, in bytes. */
static unsigned window_of(struct peer *peer)
{
	struct segment segment;
	unsigned window = UINT32_MAX;

	ops->poll(stack);
	pass_ms(50);
	while (wire_get_segment(&segment)) {
		if (segment.to == peer->port)
			window = (unsigned)segment.window << 8;
	}
	return window;
}

static void test_limit_for_receiving(void)
{
	static char got[20000];
	uint32_t start;
	unsigned window;

	meet(2);
	pressure_start(&stack->pressure, 1 * MB);
	say(&peers[0], ACK, data, 1000);
	window = window_of(&peers[0]);
	tap_ok(window > 60000, "a window of %u bytes", window);
	get(&servers[0], got, sizeof(got), 0);
	stack->allocation.used += 900000; /* others' */
	for (unsigned i = 0; i < 60; i++) {
		say(&peers[0], ACK, data, 1000);
		get(&servers[0], got, sizeof(got), 0);
	}
	window = window_of(&peers[0]);
	tap_ok(pressure_now() == PRESSURE_HIGH && window <= 16384 && window >= 8192,
	       "becomes small under pressure, as far as it is read: %u", window);
	stack->allocation.used += 200000;
	start = peers[1].seq;
	for (unsigned i = 0; i < 20; i++)
		say(&peers[1], ACK, data, 1000);
	tap_ok(pressure_now() == PRESSURE_LIMIT &&
		       ops->readable(servers[1].handle) == PRESSURE_GUARANTEED / 1000 * 1000 + 1000,
	       "at the limit what nobody reads is not taken: %zu bytes are",
	       ops->readable(servers[1].handle));
	peers[1].seq = start + (uint32_t)ops->readable(servers[1].handle);
	get(&servers[1], got, sizeof(got), 0);
	say(&peers[1], ACK, "more", 4);
	tap_ok(get(&servers[1], got, sizeof(got), 0) == 4, "but it is when something is read");
	stack->allocation.used -= 1100000;
	wire_clear();
	for (unsigned i = 0; i < 10; i++) {
		say(&peers[0], ACK, data, 1000);
		get(&servers[0], got, sizeof(got), 0);
	}
	window = window_of(&peers[0]);
	tap_ok(window > 60000, "and the window opens when the pressure is over: %u", window);
	part(2);
	pressure_start(&stack->pressure, 0);
}

static void run_tests(void)
{
	open_wire();
	create(&listener, AF_INET);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 4096);
	greet(&peers[0], 19999, 80); /* ARP */
	test_closed_windows();
	test_limit_for_sending();
	test_limit_for_receiving();
	drop(&listener);
	tap_ok(complaints == 0, "lwIP never complained");
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
