/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stack against a peer that the test plays frame by frame: what a host must answer, and what it
 * must survive (malformed options, forged acknowledgements, floods of SYNs, data beyond the
 * window).
 */
#include "tests/unit/stack/peer.h"

static void make_arp(uint8_t frame[42], const char *sender, const char *target)
{
	static const uint8_t head[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };

	memset(frame, 0, 42);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, WIRE_PEER_MAC, 6);
	memcpy(frame + 12, head, sizeof(head));
	memcpy(frame + 22, WIRE_PEER_MAC, 6);
	inet_pton(AF_INET, sender, frame + 28);
	inet_pton(AF_INET, target, frame + 38);
}

static void test_arp(void)
{
	uint8_t frame[2048];

	make_arp(frame, WIRE_PEER, WIRE_OWN);
	wire_put(frame, 42);
	ops->poll(stack);
	tap_ok(wire_get(frame, sizeof(frame)) >= 42 && frame[21] == 2 &&
		       !memcmp(frame + 22, WIRE_OWN_MAC, 6),
	       "ARP is answered");
	make_arp(frame, WIRE_PEER, "198.18.0.99");
	wire_put(frame, 42);
	ops->poll(stack);
	tap_ok(wire_get(frame, sizeof(frame)) == 0, "for our address only");
	make_arp(frame, WIRE_PEER, WIRE_OWN);
	wire_put(frame, 30);
	ops->poll(stack);
	tap_ok(wire_get(frame, sizeof(frame)) == 0, "a short ARP frame is dropped");
	make_arp(frame, WIRE_OWN, WIRE_OWN);
	wire_put(frame, 42);
	ops->poll(stack);
	tap_ok(wire_get(frame, sizeof(frame)) == 0, "and one that claims our own address");
	wire_put(frame, 42);
	ops->poll(stack);
	tap_ok(warnings == 1, "which is said, once: %u", warnings);
}

static void test_ping(void)
{
	uint8_t frame[2048] = { 0 };
	uint8_t *ip = frame + 14;
	uint8_t *icmp = ip + 20;
	uint16_t check;

	memcpy(frame, WIRE_OWN_MAC, 6);
	memcpy(frame + 6, WIRE_PEER_MAC, 6);
	frame[12] = 8;
	ip[0] = 0x45;
	ip[3] = 60;
	ip[8] = 64;
	ip[9] = 1;
	inet_pton(AF_INET, WIRE_PEER, ip + 12);
	inet_pton(AF_INET, WIRE_OWN, ip + 16);
	icmp[0] = 8;
	memset(icmp + 8, 'p', 32);
	check = wire_checksum(icmp, 40, 0);
	icmp[2] = (uint8_t)(check >> 8);
	icmp[3] = (uint8_t)check;
	wire_put(frame, 74);
	ops->poll(stack);
	ops->poll(stack); /* once more: ARP may have come between */
	tap_ok(wire_get(frame, sizeof(frame)) == 74 && icmp[0] == 0 &&
		       wire_checksum(icmp, 40, 0) == 0,
	       "ping is answered");
	wire_clear();
}

/* An ICMPv6 message to the stack's own address; returns the frame's size. */
static size_t make_icmp6(uint8_t *frame, const uint8_t *message, size_t size, unsigned hops)
{
	uint8_t *ip = frame + 14;
	uint32_t pseudo = (uint32_t)size + 58;
	uint16_t check;

	memset(frame, 0, 14 + 40);
	memcpy(frame, WIRE_OWN_MAC, 6);
	memcpy(frame + 6, WIRE_PEER_MAC, 6);
	frame[12] = 0x86;
	frame[13] = 0xdd;
	ip[0] = 0x60;
	ip[5] = (uint8_t)size;
	ip[6] = 58;
	ip[7] = (uint8_t)hops;
	inet_pton(AF_INET6, WIRE_PEER6, ip + 8);
	inet_pton(AF_INET6, WIRE_OWN6, ip + 24);
	memcpy(ip + 40, message, size);
	for (int i = 0; i < 32; i += 2)
		pseudo += (uint32_t)ip[8 + i] << 8 | ip[9 + i];
	check = wire_checksum(ip + 40, size, pseudo);
	ip[42] = (uint8_t)(check >> 8);
	ip[43] = (uint8_t)check;
	return 54 + size;
}

static void test_neighbours(void)
{
	uint8_t frame[2048];
	uint8_t solicitation[32] = { 135, [24] = 1, [25] = 1, 2, 0, 0, 0, 0, 2 };
	uint8_t echo[16] = { 128 };
	size_t size;

	inet_pton(AF_INET6, WIRE_OWN6, solicitation + 8);
	size = make_icmp6(frame, solicitation, 32, 255);
	wire_put(frame, size);
	ops->poll(stack);
	tap_ok(wire_get(frame, sizeof(frame)) > 0 && frame[54] == 136, "a neighbour is answered");
	size = make_icmp6(frame, echo, sizeof(echo), 64);
	wire_put(frame, size);
	ops->poll(stack);
	tap_ok(wire_get(frame, sizeof(frame)) > 0 && frame[54] == 129,
	       "ping is answered over IPv6");
	solicitation[25] = 0; /* an option of length 0 */
	size = make_icmp6(frame, solicitation, 32, 255);
	wire_put(frame, size);
	solicitation[25] = 200; /* one that says it is 1600 bytes */
	size = make_icmp6(frame, solicitation, 32, 255);
	wire_put(frame, size);
	solicitation[25] = 1;
	size = make_icmp6(frame, solicitation, 28, 255); /* one cut off */
	wire_put(frame, size);
	size = make_icmp6(frame, solicitation, 32, 64); /* from beyond a router */
	wire_put(frame, size);
	ops->poll(stack);
	tap_ok(wire_get(frame, sizeof(frame)) == 0, "malformed solicitations are dropped");
}

static void test_martians(void)
{
	static const char *const sources[] = { "127.0.0.1", WIRE_OWN, "0.0.0.0", "224.0.0.1",
					       "255.255.255.255" };
	struct test_socket listener;
	struct segment syn = { .from = 4000, .to = 80, .seq = 1, .flags = SYN };
	struct segment answer;

	create(&listener, AF_INET);
	ops->listen(listener.handle, address4("0.0.0.0", 80), 16);
	for (unsigned i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		syn.source = sources[i];
		wire_put_segment(&syn);
	}
	syn.source = NULL;
	syn.fragment = true;
	wire_put_segment(&syn);
	ops->poll(stack);
	tap_ok(!wire_get_segment(&answer), "martians and fragments get no answer");
	syn.fragment = false;
	wire_put_segment(&syn);
	ops->poll(stack);
	tap_ok(wire_get_segment(&answer) && answer.flags == (SYN | ACK), "an honest SYN does");
	drop(&listener);
	syn.from++;
	wire_put_segment(&syn);
	ops->poll(stack);
	tap_ok(wire_get_segment(&answer) && (answer.flags & RST), "a closed port answers RST");
	wire_clear();
}

static void test_reset_attack(void)
{
	struct test_socket listener, server;
	struct segment answer;
	struct peer peer;
	char byte;

	create(&listener, AF_INET);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 16);
	tap_ok(greet(&peer, 4100, 80) && accept_one(&listener, &server), "a connection");
	wire_clear();
	peer.seq += 100;
	say(&peer, RST, NULL, 0);
	tap_ok(wire_get_segment(&answer) && answer.flags == ACK && answer.ack == peer.seq - 100,
	       "an RST inside the window is challenged");
	tap_ok(ready(&server) == (EPOLLOUT | EPOLLWRNORM), "and changes nothing");
	peer.seq -= 100;
	peer.ack += 3000000000u;
	say(&peer, ACK, "forged", 6);
	tap_ok(get(&server, &byte, 1, 0) == -EAGAIN,
	       "data with a forged acknowledgement is dropped");
	peer.seq -= 6;
	peer.ack -= 3000000000u;
	say(&peer, 0, "bare", 4);
	tap_ok(get(&server, &byte, 1, 0) == -EAGAIN, "data without one, too");
	peer.seq -= 4;
	say(&peer, SYN, NULL, 0);
	peer.seq--;
	tap_ok(ready(&server) == (EPOLLOUT | EPOLLWRNORM), "a SYN changes nothing");
	peer.seq += 1u << 31;
	say(&peer, ACK, "x", 1);
	peer.seq -= (1u << 31) + 1;
	tap_ok(get(&server, &byte, 1, 0) == -EAGAIN && complaints == 0,
	       "nor does a byte from half the way round");
	say(&peer, RST | ACK, NULL, 0);
	tap_ok(get(&server, &byte, 1, 0) == -ECONNRESET, "the exact RST resets");
	drop(&server);
	drop(&listener);
	wire_clear();
}

/*
 * LWIP-NOTES: the first out-of-order segment is queued untrimmed, and runs over the window later.
 */
static void test_beyond_window(void)
{
	static char data[1400];
	struct test_socket listener, server;
	struct peer peer;
	uint32_t first;

	create(&listener, AF_INET);
	set(&listener, SOL_SOCKET, SO_RCVBUF, 8192);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 16);
	greet(&peer, 4200, 80);
	accept_one(&listener, &server);
	first = peer.seq;
	peer.seq = first + 8192 - 700; /* crosses the right edge */
	say(&peer, ACK, data, sizeof(data));
	peer.seq = first;
	while (peer.seq - first < 8192)
		say(&peer, ACK, data,
		    8192 - (peer.seq - first) < 1400 ? 8192 - (peer.seq - first) : 1400);
	tap_ok(ops->readable(server.handle) == 8192, "the window is full, %zu bytes",
	       ops->readable(server.handle));
	tap_ok(complaints == 0, "and lwIP does not complain");
	drop(&server);
	drop(&listener);
	wire_clear();
}

/* A peer that goes on behind its own end, up to the window's. */
static void test_data_over_fin(void)
{
	static char data[1400];
	struct test_socket listener, server;
	struct peer peer;
	uint32_t first;

	create(&listener, AF_INET);
	set(&listener, SOL_SOCKET, SO_RCVBUF, 8192);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 16);
	greet(&peer, 4250, 80);
	accept_one(&listener, &server);
	first = peer.seq;
	peer.seq = first + 8000;
	say(&peer, ACK | FIN, NULL, 0);
	for (peer.seq = first; peer.seq - first < 7000;)
		say(&peer, ACK, data, sizeof(data));
	say(&peer, ACK, data, 8192 - 7000);
	tap_ok(complaints == 0 && ops->readable(server.handle) <= 8192,
	       "data over the peer's own FIN do not overrun the window: %zu bytes",
	       ops->readable(server.handle));
	drop(&server);
	drop(&listener);
	wire_clear();
}

static void test_options(void)
{
	/* A kind as the very last byte; a length that runs over the end; an MSS of 1. */
	static const uint8_t cut[] = { 1, 1, 1, 3 };
	static const uint8_t over[] = { 2, 40, 5, 0xb4 };
	static const uint8_t tiny[] = { 2, 4, 0, 1 };
	static char data[1000];
	struct segment syn = { .from = 4300, .to = 80, .seq = 1, .flags = SYN, .option_size = 4 };
	struct segment answer;
	struct test_socket listener, server;
	struct peer peer = { .port = 4302, .stack_port = 80, .seq = 2 };

	create(&listener, AF_INET);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 16);
	syn.options = cut;
	wire_put_segment(&syn);
	syn.from++;
	syn.options = over;
	wire_put_segment(&syn);
	ops->poll(stack);
	tap_ok(wire_get_segment(&answer) && wire_get_segment(&answer),
	       "malformed options are skipped");
	syn.from++;
	syn.options = tiny;
	wire_put_segment(&syn);
	ops->poll(stack);
	tap_ok(wire_get_segment(&answer), "a SYN with MSS 1 is answered");
	peer.ack = answer.seq + 1;
	say(&peer, ACK, NULL, 0);
	accept_one(&listener, &server);
	put(&server, data, sizeof(data), 0);
	wire_get_segment(&answer);
	tap_ok(answer.size >= 88, "but not with frames of one byte: %zu", answer.size);
	say(&peer, RST, NULL, 0);
	drop(&server);
	wire_clear();
	greet(&peer, 4303, 80);
	accept_one(&listener, &server);
	wire_clear();
	put(&server, "a", 1, 0);
	put(&server, data, sizeof(data), 0);
	wire_put_segment(&(struct segment){ .from = peer.port,
					    .to = peer.stack_port,
					    .seq = peer.seq,
					    .ack = peer.ack,
					    .flags = ACK,
					    .options = tiny,
					    .option_size = 4 });
	ops->poll(stack);
	put(&server, "b", 1, 0);
	wire_clear();
	peer.ack += 2 + sizeof(data);
	say(&peer, ACK, NULL, 0);
	put(&server, data, sizeof(data), 0);
	wire_get_segment(&answer);
	while (answer.size < sizeof(data) && wire_get_segment(&answer))
		;
	tap_ok(answer.size >= sizeof(data) && complaints == 0,
	       "an MSS is a SYN's and nobody else's: %zu", answer.size);
	drop(&server);
	drop(&listener);
	wire_clear();
}

/* A window of 0 from the beginning, that opens by little. */
static void test_late_window(void)
{
	static char data[1000];
	struct segment syn = { .from = 4350,
			       .to = 80,
			       .seq = 1,
			       .flags = SYN,
			       .shut = true,
			       .options = syn_options,
			       .option_size = 4 };
	struct segment ack = { .from = 4350, .to = 80, .seq = 2, .flags = ACK, .shut = true };
	struct test_socket listener, server;
	struct segment answer;

	create(&listener, AF_INET);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 16);
	wire_put_segment(&syn);
	ops->poll(stack);
	wire_get_segment(&answer);
	ack.ack = answer.seq + 1;
	wire_put_segment(&ack);
	ops->poll(stack);
	accept_one(&listener, &server);
	put(&server, data, sizeof(data), 0);
	ack.shut = false;
	ack.window = 100;
	wire_put_segment(&ack);
	ops->poll(stack);
	put(&server, data, sizeof(data), 0);
	tap_ok(complaints == 0, "a window that was closed from the beginning opens by little");
	drop(&server);
	drop(&listener);
	wire_clear();
}

static void test_listener_end(void)
{
	struct test_socket listener;
	struct segment answer;
	struct peer half = { .port = 4400, .stack_port = 80, .seq = 7 }, whole;

	create(&listener, AF_INET);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 16);
	say(&half, SYN, NULL, 0);
	greet(&whole, 4401, 80);
	wire_clear();
	drop(&listener);
	tap_ok(wire_get_segment(&answer) && (answer.flags & RST) && answer.to == 4401,
	       "a listener that ends resets whom nobody has accepted");
	tap_ok(!wire_get_segment(&answer), "and says nothing to the half-open");
	wire_clear();
}

static void test_full_queue(void)
{
	struct test_socket listener, server;
	struct segment answer;
	struct peer one, two, three;

	create(&listener, AF_INET);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 0);
	two = (struct peer){ .port = 4501, .stack_port = 80, .seq = 7 };
	say(&two, SYN, NULL, 0); /* half-open before the queue is full */
	wire_get_segment(&answer);
	two.ack = answer.seq + 1;
	tap_ok(greet(&one, 4500, 80), "one fills the queue");
	wire_clear();
	three = (struct peer){ .port = 4502, .stack_port = 80, .seq = 7 };
	say(&three, SYN, NULL, 0);
	tap_ok(!wire_get_segment(&answer), "a SYN is not answered then");
	say(&two, ACK, NULL, 0);
	tap_ok(!wire_get_segment(&answer), "and the last ACK of a handshake is ignored");
	tap_ok(accept_one(&listener, &server), "accept the first");
	drop(&server);
	wire_clear();
	say(&two, ACK, "x", 1);
	tap_ok(accept_one(&listener, &server), "now the second gets in");
	drop(&server);
	drop(&listener);
	wire_clear();
}

static void test_sequence_numbers(void)
{
	struct segment one, two, syn = { .from = 4600, .to = 80, .seq = 1, .flags = SYN };
	struct test_socket listener;

	random_simulate_sequence(&stack->random, false, 0);
	create(&listener, AF_INET);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 16);
	wire_put_segment(&syn);
	syn.from++;
	wire_put_segment(&syn);
	ops->poll(stack);
	random_simulate_sequence(&stack->random, true, first_sequence);
	tap_ok(wire_get_segment(&one), "an answer");
	tap_ok(wire_get_segment(&two) && one.seq - two.seq + 100000 > 200000,
	       "initial sequence numbers of two ports have nothing in common");
	drop(&listener);
	wire_clear();
}

static void test_timewait(void)
{
	struct test_socket listener, server;
	struct segment answer;
	struct peer peer;

	create(&listener, AF_INET);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 16);
	greet(&peer, 4700, 80);
	accept_one(&listener, &server);
	drop(&server);
	wire_clear();
	peer.ack++;
	say(&peer, FIN | ACK, NULL, 0);
	tap_ok(stack->index.counts.timewait > 0, "the stack closed first: TIME_WAIT");
	wire_clear();
	peer.seq -= 50;
	say(&peer, SYN, NULL, 0);
	tap_ok(!wire_get_segment(&answer) || !(answer.flags & SYN),
	       "an old SYN does not reopen it");
	wire_clear();
	peer.seq += 1000;
	say(&peer, SYN, NULL, 0);
	tap_ok(wire_get_segment(&answer) && answer.flags == (SYN | ACK), "a newer one does");
	tap_ok(melin_index_check() == 0, "the index is whole: %d", melin_index_check());
	drop(&listener);
	wire_clear();
}

/* A thread waits in connect(), another one ends the attempt, the first asks what has come of it. */
static void test_attempt_ended(void)
{
	static const struct sockaddr unspecified = { .sa_family = AF_UNSPEC };
	struct test_socket socket;

	for (int way = 0; way < 2; way++) {
		create(&socket, AF_INET);
		tap_ok(ops->connect(socket.handle, NULL, address4(WIRE_PEER, 80)) == -EINPROGRESS &&
			       ops->connect(socket.handle, NULL, NULL) == -EALREADY,
		       "connecting");
		if (way == 0)
			ops->connect(socket.handle, NULL, &unspecified);
		else
			ops->shutdown(socket.handle, SHUT_RDWR);
		tap_ok(ops->connect(socket.handle, NULL, NULL) == -EPIPE, "%s has ended it",
		       way == 0 ? "AF_UNSPEC" : "shutdown()");
		drop(&socket);
		wire_clear();
	}
}

static void test_resets(void)
{
	struct segment answer;
	struct peer peer = { .port = 4800, .stack_port = 99, .seq = 700, .ack = 900 };
	struct test_socket listener;

	say(&peer, ACK, "abc", 3);
	tap_ok(wire_get_segment(&answer) && answer.flags == RST && answer.seq == 900 &&
		       answer.ack == 0,
	       "a reset for a segment with ACK takes its number and has no ACK");
	peer.seq = 700;
	peer.ack = 123;
	say(&peer, SYN, NULL, 0);
	tap_ok(wire_get_segment(&answer) && answer.flags == (RST | ACK) && answer.seq == 0 &&
		       answer.ack == 701,
	       "one for a segment without acknowledges it");
	create(&listener, AF_INET);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 16);
	peer = (struct peer){ .port = 4801, .stack_port = 80, .seq = 700, .ack = 900 };
	say(&peer, ACK, NULL, 0);
	tap_ok(wire_get_segment(&answer) && answer.flags == RST && answer.seq == 900,
	       "a listener's too");
	drop(&listener);
	wire_clear();
}

static void test_closed_window(void)
{
	static char data[5000];
	struct test_socket socket;
	struct segment segment;
	struct peer peer;

	be_called(&peer, &socket, 90);
	put(&socket, data, 1000, 0);
	wire_get_segment(&segment);
	peer.ack += 1000;
	say(&peer, ACK, NULL, 0);
	wire_put_segment(&(struct segment){ .from = 90,
					    .to = peer.stack_port,
					    .seq = peer.seq,
					    .ack = peer.ack,
					    .flags = ACK,
					    .shut = true });
	ops->poll(stack);
	put(&socket, data, sizeof(data), 0);
	tap_ok(!wire_get_segment(&segment), "a window that closes and nothing else is believed");
	say(&peer, ACK, NULL, 0);
	tap_ok(wire_get_segment(&segment) && segment.size > 0, "and one that opens");
	drop(&socket);
	wire_clear();
}

/* Both ends call; the peer's answer to the stack's SYN arrives, or only what follows it. */
static void test_crossing(bool lost)
{
	struct test_socket socket;
	struct segment syn, answer;
	struct peer peer;
	char got[8] = "";

	create(&socket, AF_INET);
	ops->connect(socket.handle, NULL, address4(WIRE_PEER, 91));
	ops->poll(stack);
	wire_get_segment(&syn);
	peer = (struct peer){ .port = 91, .stack_port = syn.from, .seq = first_sequence };
	say(&peer, SYN, NULL, 0);
	tap_ok(wire_get_segment(&answer) && answer.flags == (SYN | ACK) && answer.seq == syn.seq &&
		       answer.ack == peer.seq,
	       "a SYN in answer to a SYN is acknowledged");
	peer.ack = syn.seq + 1;
	if (lost) {
		say(&peer, ACK, NULL, 0);
	} else {
		peer.seq--;
		say(&peer, SYN | ACK, NULL, 0);
	}
	tap_ok(ready(&socket) == (EPOLLOUT | EPOLLWRNORM), "and both are connected%s",
	       lost ? ", though an answer was lost" : "");
	wire_clear();
	put(&socket, "to", 2, 0);
	tap_ok(wire_get_segment(&answer) && answer.seq == syn.seq + 1 && answer.size == 2 &&
		       answer.ack == peer.seq,
	       "what is sent is in order");
	peer.ack += 2;
	say(&peer, ACK, "fro", 3);
	tap_ok(get(&socket, got, sizeof(got), 0) == 3, "and what is received");
	drop(&socket);
	wire_clear();
}

static void run_tests(void)
{
	open_wire();
	test_arp();
	test_ping();
	test_neighbours();
	test_martians();
	test_reset_attack();
	test_beyond_window();
	test_data_over_fin();
	test_options();
	test_late_window();
	test_listener_end();
	test_full_queue();
	test_sequence_numbers();
	test_timewait();
	test_attempt_ended();
	test_resets();
	test_closed_window();
	test_crossing(false);
	test_crossing(true);
	tap_ok(complaints == 0, "lwIP never complained");
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
