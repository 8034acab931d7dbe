/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections that come from the kernel and go back to it (stack.h's adopt() and give()), with a
 * peer that the test plays: its segments bear timestamps, as the kernel's do.
 */
#include <malloc.h>

#include "tests/unit/stack/kernels.h"

#define MANY 1000

/* ---- the checks ---- */

static void goes_on(void)
{
	struct connection_state state = kernels();
	struct test_socket socket, second;
	struct sockaddr_storage name;
	struct sockaddr_in *in = (struct sockaddr_in *)&name;
	uint8_t unread[] = "left";

	peers_clock = PEERS_CLOCK;
	state.receive_data = unread;
	state.receive_size = 4;
	tap_ok(adopt(&socket, &state) == 0, "adopted");
	tap_ok(ready(&socket) == (EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM),
	       "readable and writable");
	tap_ok(!wire_get_segment(&seen), "nothing is sent for it");
	tap_ok(ops->name(socket.handle, true, &name) == 0 && in->sin_port == htons(PEER_PORT),
	       "it knows its peer");
	tap_ok(ops->adopt(stack, AF_INET, false, &second, &state, &second.handle) == -EEXIST,
	       "a second one with these ends: refused");
	tap_ok(reads(&socket, "left"), "what the kernel had received is read");

	wire_clear();
	put(&socket, "answer", 6, 0);
	ops->poll(stack); /* the answer to ARP */
	tap_ok(wire_get_segment(&seen) && seen.seq == peer.ack && seen.ack == peer.seq &&
		       seen.size == 6,
	       "sends from where the kernel stopped");
	tap_ok(is_stamped() && stamp(4) - KERNELS_CLOCK < 1000 && stamp(8) == 0,
	       "by the kernel's clock, with nothing to echo yet");
	tap_ok(seen.window >= 63 && seen.window < 6 * 1024, "the window is scaled by 10: %u",
	       seen.window);
	peer.ack += 6;
	tell("next");
	tap_ok(reads(&socket, "next"), "receives");
	put(&socket, "more", 4, 0);
	tap_ok(wire_get_segment(&seen) && is_stamped() && stamp(8) == peers_clock,
	       "and echoes the peer's clock");
	peer.ack += 4;
	pass_ms(200);
	wire_clear();

	say_stamped(peer.seq, "old", 3, peers_clock - 2);
	tap_ok(get(&socket, unread, 4, 0) == -EAGAIN && wire_get_segment(&seen) &&
		       seen.ack == peer.seq && seen.size == 0 && is_stamped(),
	       "an older clock: not taken, acknowledged");
	say_stamped(peer.seq, "tick", 4, peers_clock - 1);
	peer.seq += 4;
	tap_ok(reads(&socket, "tick"), "by a tick: segments that have overtaken each other");
	pass_ms(50);
	wire_clear();
	say_stamped(peer.seq - 4, "next", 4, peers_clock + 1);
	pass_ms(50);
	tap_ok(get(&socket, unread, 4, 0) == -EAGAIN && wire_get_segment(&seen) &&
		       seen.ack == peer.seq,
	       "what the kernel or we had before: acknowledged again");
	ops->release(socket.handle);
	pass_ms(10);
	tap_ok(wire_get_segment(&seen) && (seen.flags & FIN) && is_stamped(),
	       "and the FIN of a released one has the clock too");
	say_stamped(peer.seq, NULL, 0, ++peers_clock);
	wire_clear();
}

/*
 * RFC 7323 5.3, R2: who does not see the connection, and guesses numbers, must not set its clock
 * ahead, by which all that the peer sends would be too old.
 */
static void believes_no_stranger(void)
{
	struct connection_state state = kernels();
	struct test_socket socket;

	peers_clock = PEERS_CLOCK;
	adopt(&socket, &state);
	tell("one");
	tap_ok(reads(&socket, "one"), "the peer's clock is known");
	put(&socket, "answer", 6, 0);
	peer.ack += 6;
	say_stamped(peer.seq - 100000, NULL, 0, peers_clock + 1000000);
	say_stamped(peer.seq - 100000, "data", 4, peers_clock + 1000000);
	tell("two");
	tap_ok(reads(&socket, "two"), "and is not learnt from before the window");
	ops->release(socket.handle);
	wire_clear();
}

/*
 * Nor what he says of the peer's window, which needs no more than an acknowledgement that may be as
 * old as a window is large.
 */
static void believes_no_window_from_afar(void)
{
	struct connection_state state = kernels();
	struct segment closed = { .flags = ACK, .shut = true };
	struct test_socket socket;

	adopt(&socket, &state);
	closed.seq = peer.seq + (1u << 30);
	closed.ack = peer.ack;
	wire_clear();
	for (int i = 0; i < 3; i++)
		put_stamped(&closed, ++peers_clock);
	ops->poll(stack);
	tap_ok(wire_get_segment(&seen) && seen.size == 0 && seen.ack == peer.seq &&
		       !wire_get_segment(&seen),
	       "three from far behind the window: one answer");
	put(&socket, "answer", 6, 0);
	tap_ok(wire_get_segment(&seen) && seen.size == 6, "and the peer's window stays open");
	ops->release(socket.handle);
	wire_clear();
}

/* There is room for more than the peer has been told of, and the kernel does not know of it. */
static void gives_a_number_within(void)
{
	struct connection_state state = kernels(), again;
	struct segment ahead = { .flags = ACK, .window = 500 };
	struct test_socket socket;

	state.receive_window_start = state.receive_next;
	state.receive_window = 20000;
	adopt(&socket, &state);
	ahead.seq = peer.seq + 40000;
	ahead.ack = peer.ack;
	put_stamped(&ahead, ++peers_clock);
	ops->poll(stack);
	tap_ok(ops->give(socket.handle, &again) == 0 && again.send_window == 500 << 7,
	       "a window from behind what was told, but not from behind what there is");
	tap_ok((int32_t)(again.receive_next + again.receive_window - again.send_wl1) >= 0,
	       "goes back with a number that the kernel takes");
	connection_state_clear(&again);
	ops->release(socket.handle);
	wire_clear();
}

static void fills_segments(void)
{
	struct connection_state state = kernels();
	static char data[4 * SEGMENT];
	struct test_socket socket;
	unsigned full = 0, others = 0;

	adopt(&socket, &state);
	wire_clear();
	put(&socket, data, sizeof(data), 0);
	while (wire_get_segment(&seen)) {
		full += seen.size == SEGMENT && is_stamped();
		others += seen.size != SEGMENT;
	}
	tap_ok(full == 4 && others == 0, "four full segments of %d bytes", SEGMENT);
	tap_ok(option(&socket, IPPROTO_TCP, 2 /* TCP_MAXSEG */) == SEGMENT, "TCP_MAXSEG");
	ops->give(socket.handle, &state);
	tap_ok(state.send_size == sizeof(data), "all of it goes back");
	connection_state_clear(&state);
	ops->release(socket.handle);
}

/* The peer has room for a part of a segment: after a while it is split, and the part sent. */
static void splits_segments(void)
{
	struct connection_state state = kernels();
	static char data[2 * SEGMENT];
	struct test_socket socket;
	bool split = false;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 + i / 256);
	state.send_window = 1000;
	adopt(&socket, &state);
	wire_clear();
	put(&socket, data, sizeof(data), 0);
	for (int i = 0; i < 20 && !split; i++) {
		pass_ms(100);
		split = wire_get_segment(&seen) && seen.size == 1000;
	}
	tap_ok(split, "a part of a segment that the window has room for");
	ops->give(socket.handle, &state);
	tap_ok(state.send_size == sizeof(data) && !memcmp(state.send_data, data, sizeof(data)),
	       "the other part is whole: %zu bytes", state.send_size);
	connection_state_clear(&state);
	ops->release(socket.handle);
	wire_clear();
}

static void goes_back(void)
{
	struct connection_state state = kernels(), again;
	struct test_socket socket;

	adopt(&socket, &state);
	tell("unread");
	put(&socket, "unacknowledged", 14, 0);
	wire_clear();
	take_events(&socket);
	tap_ok(ops->give(socket.handle, &again) == 0, "given back");
	tap_ok(take_events(&socket) == 0 && !wire_get_segment(&seen), "without a word");
	tap_ok(again.send_unacknowledged == state.send_unacknowledged &&
		       again.receive_next == state.receive_next + 6 &&
		       again.send_window == 1000 << 7 && again.send_window_max == 1000 << 7,
	       "with its numbers and windows");
	tap_ok(again.receive_window_start + again.receive_window -
			       (state.receive_window_start + state.receive_window) <
		       UINT32_MAX / 2,
	       "its receive window has not shrunk");
	tap_ok(again.scaled && again.send_scale == 7 && again.receive_scale == 10 && again.sack &&
		       again.segment == SEGMENT && again.largest_segment >= SEGMENT,
	       "with its options");
	tap_ok(again.timestamps && again.timestamp - KERNELS_CLOCK < 1000 &&
		       again.timestamp_recent == peers_clock,
	       "with both clocks");
	tap_ok(again.receive_size == 6 && !memcmp(again.receive_data, "unread", 6),
	       "with what was not read");
	tap_ok(again.send_size == 14 && !memcmp(again.send_data, "unacknowledged", 14),
	       "with what was not acknowledged");
	ops->release(socket.handle);
	tap_ok(!wire_get_segment(&seen), "and nothing is sent when it is released");

	tap_ok(adopt(&socket, &again) == 0 && wire_get_segment(&seen) && seen.size == 14,
	       "adopted anew, that goes out again");
	tap_ok(reads(&socket, "unread"), "and the rest is read");
	connection_state_clear(&again);
	ops->shutdown(socket.handle, SHUT_WR);
	tap_ok(ops->give(socket.handle, &again) == -ENOTCONN, "after a FIN it stays");
	peer.ack += 15;
	say_stamped(peer.seq, NULL, 0, ++peers_clock);
	tap_ok(ready(&socket) & EPOLLOUT, "and goes on");
	ops->release(socket.handle);
}

/*
 * The peer has used up the window, and the program has read a part of it that is too little to be
 * told: the kernel would not know that there is room.
 */
static void tells_of_room(void)
{
	struct connection_state state = kernels(), again;
	static uint8_t data[SEGMENT], read[2000];
	uint32_t edge = state.receive_window_start + state.receive_window;
	struct test_socket socket;

	adopt(&socket, &state);
	while (edge != peer.seq) {
		const uint32_t left = edge - peer.seq;
		const uint32_t part = left < sizeof(data) ? left : (uint32_t)sizeof(data);

		say_stamped(peer.seq, data, part, ++peers_clock);
		peer.seq += part;
		pass_ms(50);
		while (wire_get_segment(&seen))
			edge = seen.ack + ((uint32_t)seen.window << 10);
	}
	get(&socket, read, sizeof(read), 0);
	pass_ms(50);
	tap_ok(!wire_get_segment(&seen), "little room is not told");
	ops->give(socket.handle, &again);
	tap_ok(wire_get_segment(&seen) && seen.ack == peer.seq && seen.window << 10 >= 1024 &&
		       again.receive_window >= 1024,
	       "it is when the connection goes back: %u bytes", again.receive_window);
	tap_ok(again.receive_window - ((uint32_t)seen.window << 10) < 1024,
	       "and the kernel knows how much that is, but for what the scale cuts off");
	connection_state_clear(&again);
	ops->release(socket.handle);
}

/*
 * A peer that uses the kernel's window finds it as large, even if much of its buffer is in use: a
 * window must not shrink (RFC 9293 3.8.6).
 */
static void keeps_large_window(void)
{
	struct connection_state state = kernels();
	const uint32_t large = 6u << 20;
	uint8_t *unread = calloc(1, large);
	struct test_socket socket;

	state.receive_window_start = state.receive_next;
	state.receive_window = large;
	state.receive_data = unread;
	state.receive_size = large;
	adopt(&socket, &state);
	say_stamped(peer.seq, "used", 4, ++peers_clock);
	peer.seq += 4;
	pass_ms(50);
	tap_ok(wire_get_segment(&seen) && seen.ack == peer.seq &&
		       ((uint32_t)seen.window << 10) + 2048 > large,
	       "a large window stays as large");
	ops->release(socket.handle);
	free(unread);
}

/* The edge of the window by the last segment that has told of one; edge: by none. */
static uint32_t told_edge(uint32_t edge, unsigned scale)
{
	while (wire_get_segment(&seen))
		edge = seen.ack + ((uint32_t)seen.window << scale);
	return edge;
}

/* The peer says as much as it may, a segment at most. Returns how much. */
static uint32_t fill_up_to(uint32_t edge, const uint8_t data[SEGMENT])
{
	const uint32_t left = edge - peer.seq, part = left < SEGMENT ? left : SEGMENT;

	say_stamped(peer.seq, data, part, ++peers_clock);
	peer.seq += part;
	return part;
}

/*
 * The window's unit (RFC 7323 2.2) is larger than the receive buffer, which is all that the peer
 * may be told of.
 */
static void tells_of_a_unit(void)
{
	struct connection_state state = kernels(), again;
	const int size = 10000, scale = 14;
	static uint8_t data[SEGMENT];
	uint32_t edge, sent = 0;
	struct test_socket socket;

	state.receive_scale = (uint8_t)scale;
	state.receive_window = 1u << scale;
	state.receive_window_start = state.receive_next;
	edge = state.receive_next + state.receive_window;
	adopt(&socket, &state);
	ops->set_option(socket.handle, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	while (edge != peer.seq && sent < 10u << scale) {
		sent += fill_up_to(edge, data);
		get(&socket, data, sizeof(data), 0);
		pass_ms(50);
		edge = told_edge(edge, scale);
	}
	tap_ok(sent >= 10u << scale, "a unit larger than the buffer is told: %u bytes have come",
	       sent);
	while (edge != peer.seq && sent < 20u << scale) {
		sent += fill_up_to(edge, data);
		pass_ms(50);
		edge = told_edge(edge, scale);
	}
	ops->give(socket.handle, &again);
	edge = told_edge(edge, scale);
	tap_ok(edge - peer.seq >= 1u << scale &&
		       again.receive_window_start + again.receive_window == edge,
	       "the peer is told of room when it goes back, and the kernel knows: %u bytes",
	       again.receive_window);
	connection_state_clear(&again);
	ops->release(socket.handle);
	wire_clear();
}

/* Of lwIP's, the stack's and the allocator's; what preload has of it is beside that. */
static void is_small(void)
{
	static struct test_socket sockets[MANY];
	const size_t before = mallinfo2().uordblks;
	unsigned adopted = 0;
	size_t each;

	for (unsigned i = 0; i < MANY; i++) {
		const struct connection_state state = kernels();

		adopted += adopt(&sockets[i], &state) == 0;
	}
	each = (mallinfo2().uordblks - before) / MANY;
	tap_ok(adopted == MANY && each <= 1536, "an idle one takes %zu bytes", each);
	for (unsigned i = 0; i < MANY; i++)
		ops->release(sockets[i].handle);
}

static void tests(void)
{
	open_wire();
	goes_on();
	believes_no_stranger();
	believes_no_window_from_afar();
	gives_a_number_within();
	fills_segments();
	splits_segments();
	goes_back();
	tells_of_room();
	keeps_large_window();
	tells_of_a_unit();
	is_small();
	tap_ok(complaints == 0, "lwIP never complained");
}

int main(void)
{
	return run_at_each_start(tests);
}
