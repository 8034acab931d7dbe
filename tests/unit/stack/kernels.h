/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection that the kernel had before, and its peer, whom the test plays: his segments bear
 * timestamps, as the kernel's do.
 */
#ifndef MELIN_TEST_STACK_KERNELS_H
#define MELIN_TEST_STACK_KERNELS_H

#include "common/connection_state.h"
#include "tests/unit/stack/peer.h"

#define PORT	  6379
#define PEER_PORT 40000
#define SEGMENT	  1448 /* an MTU of 1500 less the headers and the timestamps */

#define KERNELS_CLOCK 0xfffffff0u /* comes round within the test */
#define PEERS_CLOCK   0x7ffffff0u

static struct peer peer;
static uint32_t peers_clock;
static struct segment seen;

/* Each with another port of the peer's: those before may not be over yet. */
static struct connection_state kernels(void)
{
	static uint16_t port = PEER_PORT;
	struct connection_state state = {
		.send_unacknowledged = first_sequence + 77,
		.receive_next = first_sequence,
		.send_wl1 = first_sequence - 10,
		.send_window = 100000,
		.send_window_max = 120000,
		.receive_window = 65536,
		.receive_window_start = first_sequence - 4,
		.scaled = true,
		.send_scale = 7,
		.receive_scale = 10,
		.sack = true,
		.timestamps = true,
		.timestamp = KERNELS_CLOCK,
		.largest_segment = 1460,
		.segment = SEGMENT,
		.congestion_window = 10 * SEGMENT,
		.path = { .interface = 7, .mtu = 1500 },
	};

	memcpy(state.path.source, WIRE_OWN_MAC, 6);
	memcpy(state.path.destination, WIRE_PEER_MAC, 6);
	memcpy(&state.local, address4(WIRE_OWN, PORT), sizeof(struct sockaddr_in));
	memcpy(&state.remote, address4(WIRE_PEER, port++), sizeof(struct sockaddr_in));
	return state;
}

__attribute__((unused)) static int adopt(struct test_socket *socket,
					 const struct connection_state *state)
{
	memset(socket, 0, sizeof(*socket));
	peer = (struct peer){ .port = ntohs(((const struct sockaddr_in *)&state->remote)->sin_port),
			      .stack_port = PORT,
			      .seq = state->receive_next,
			      .ack = state->send_unacknowledged };
	return ops->adopt(stack, AF_INET, false, socket, state, &socket->handle);
}

/* Hands a segment of the peer's with that clock in it to the wire. */
static void put_stamped(struct segment *segment, uint32_t clock)
{
	uint8_t options[12] = { 1, 1, 8, 10 };

	for (int i = 0; i < 4; i++)
		options[4 + i] = (uint8_t)(clock >> (24 - 8 * i));
	segment->from = peer.port;
	segment->to = PORT;
	segment->options = options;
	segment->option_size = sizeof(options);
	wire_put_segment(segment);
}

static void say_stamped(uint32_t sequence, const void *data, size_t size, uint32_t clock)
{
	struct segment segment = { .seq = sequence,
				   .ack = peer.ack,
				   .flags = ACK,
				   .window = 1000,
				   .data = data,
				   .size = size };

	put_stamped(&segment, clock);
	ops->poll(stack);
}

__attribute__((unused)) static void tell(const char *text)
{
	say_stamped(peer.seq, text, strlen(text), ++peers_clock);
	peer.seq += (uint32_t)strlen(text);
}

/* Of the segment seen last. */
__attribute__((unused)) static uint32_t stamp(unsigned at)
{
	const uint8_t *option = seen.options;

	return (uint32_t)option[at] << 24 | (uint32_t)option[at + 1] << 16 |
	       (uint32_t)option[at + 2] << 8 | option[at + 3];
}

__attribute__((unused)) static bool is_stamped(void)
{
	static const uint8_t begin[] = { 1, 1, 8, 10 };

	return seen.option_size == 12 && !memcmp(seen.options, begin, sizeof(begin));
}

__attribute__((unused)) static bool reads(struct test_socket *socket, const char *text)
{
	char got[64] = "";

	return get(socket, got, sizeof(got) - 1, 0) == (ssize_t)strlen(text) && !strcmp(got, text);
}

#endif
