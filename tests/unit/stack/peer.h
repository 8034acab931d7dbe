/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TCP peer that the test plays by hand over the memory device.
 */
#ifndef MELIN_TEST_STACK_PEER_H
#define MELIN_TEST_STACK_PEER_H

#include "tests/unit/stack/common.h"
#include "tests/unit/stack/wire.h"

struct peer {
	uint16_t port, stack_port;
	uint32_t seq; /* the next that the peer sends */
	uint32_t ack; /* what it has received */
};

/* MSS 1460, SACK permitted, window scale 7 */
static const uint8_t syn_options[] = { 2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7 };

/* The same without SACK permitted */
static const uint8_t syn_options_plain[] = { 2, 4, 0x05, 0xb4, 1, 3, 3, 7 };
static bool syn_has_sack = true;

static unsigned complaints; /* lwIP's assertions */
static unsigned warnings;

static void count_complaints(enum log_level level, const char *message)
{
	complaints += level == LOG_LEVEL_ERROR && !strncmp(message, "lwIP:", 5);
	warnings += level == LOG_LEVEL_WARN;
	on_log(level, message);
}

__attribute__((unused)) static void open_wire(void)
{
	struct stack_callbacks with_count = callbacks;
	struct stack_config config = { .device = "memory", .address_count = 2 };
	struct reason reason = { "" };

	with_count.log = count_complaints;
	config.addresses[0].family = AF_INET;
	config.addresses[0].prefix = 24;
	inet_pton(AF_INET, WIRE_OWN, &config.addresses[0].v4);
	config.addresses[1].family = AF_INET6;
	config.addresses[1].prefix = 64;
	inet_pton(AF_INET6, WIRE_OWN6, &config.addresses[1].v6);
	if (ops->open(&config, &with_count, &stack, &reason)) {
		printf("Bail out! %s\n", reason.text);
		exit(1);
	}
	background_stop(stack);
	set_first_sequence();
	wire_open();
}

/* Sends what the peer has to say and lets the stack answer. */
__attribute__((unused)) static void say(struct peer *peer, uint8_t flags, const void *data,
					size_t size)
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

	if (flags & SYN) {
		segment.options = syn_has_sack ? syn_options : syn_options_plain;
		segment.option_size =
			syn_has_sack ? sizeof(syn_options) : sizeof(syn_options_plain);
	}
	wire_put_segment(&segment);
	ops->poll(stack);
	peer->seq += (uint32_t)size + ((flags & (SYN | FIN)) != 0);
}

/* The peer connects to a listener of the stack; the stack's answers are left in the queue. */
__attribute__((unused)) static bool greet(struct peer *peer, uint16_t from, uint16_t to)
{
	struct segment answer;

	*peer = (struct peer){ .port = from, .stack_port = to, .seq = first_sequence };
	say(peer, SYN, NULL, 0);
	if (!wire_get_segment(&answer) || (answer.flags & (SYN | ACK)) != (SYN | ACK))
		return false;
	peer->ack = answer.seq + 1;
	say(peer, ACK, NULL, 0);
	return true;
}

/* The stack connects to the peer, who accepts. */
__attribute__((unused)) static bool be_called(struct peer *peer, struct test_socket *socket,
					      uint16_t port)
{
	struct segment syn;

	wire_clear();
	create(socket, AF_INET);
	ops->connect(socket->handle, NULL, address4(WIRE_PEER, port));
	ops->poll(stack); /* the answer to ARP */
	if (!wire_get_segment(&syn) || syn.flags != SYN)
		return false;
	*peer = (struct peer){
		.port = port, .stack_port = syn.from, .seq = first_sequence, .ack = syn.seq + 1
	};
	say(peer, SYN | ACK, NULL, 0);
	wire_clear();
	take_events(socket);
	return ready(socket) == (EPOLLOUT | EPOLLWRNORM);
}

/* The peer tells its hardware address over IPv6, where the wire does not answer for it. */
__attribute__((unused)) static void introduce(void)
{
	wire_put_solicitation();
	ops->poll(stack);
	wire_clear();
}

/* Lets time pass until the stack sends a segment; returns ms, or limit if it does not. */
__attribute__((unused)) static unsigned wait_segment(struct segment *segment, unsigned limit)
{
	unsigned ms = 0;

	while (!wire_get_segment(segment)) {
		if (ms >= limit)
			return limit;
		pass_ms(10);
		ms += 10;
	}
	return ms;
}

__attribute__((unused)) static bool near(unsigned value, unsigned wanted, unsigned tolerance)
{
	return value + tolerance >= wanted && value <= wanted + tolerance;
}

#endif
