/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An instance that borrows connections from the kernel (stack.h: no device, but a tap): what it
 * says and to whom, and what it gives back. When it wants to: test_host_return.c. Taking over and
 * giving back by themselves: test_adopt.c.
 */
#include <pthread.h>

#include "tests/unit/stack/tap_instance.h"

#define MSS_OPTION 2 /* TCP_MAXSEG */

/* ---- what it says ---- */

static void has_no_addresses(void)
{
	struct connection_state state = kernels();
	struct stack_socket *socket;
	struct test_socket adopted;

	tap_ok(is_silent(), "it does not announce itself");
	tap_ok(ops->socket_create(stack, AF_INET, false, NULL, &socket) == -EOPNOTSUPP,
	       "no socket of its own");
	tap_ok(ops->route(stack, address4(WIRE_PEER, 80), NULL) < 0, "no route");
	state.path.interface = 0;
	tap_ok(adopt(&adopted, &state) == -EINVAL, "without a path: not adopted");
}

static void goes_its_way(void)
{
	struct connection_state state = kernels(), other = kernels();
	struct test_socket socket, second;
	uint8_t frame[200];

	adopt(&socket, &state);
	other.path.interface = 70000;
	other.path.mtu = 1000;
	memcpy(other.path.destination, "\2\0\0\0\0\x77", 6);
	memcpy(other.path.source, "\2\0\0\0\0\x88", 6);
	adopt(&second, &other);
	put(&socket, "one", 3, 0);
	tap_ok(wire_get(frame, sizeof(frame)) == 14 + 20 + 32 + 3 && memory_link.interface == 7 &&
		       !memcmp(frame, WIRE_PEER_MAC WIRE_OWN_MAC "\x08\x00", 14),
	       "a frame leaves by the connection's path");
	put(&second, "two", 3, 0);
	tap_ok(wire_get(frame, sizeof(frame)) == 14 + 20 + 32 + 3 &&
		       memory_link.interface == 70000 &&
		       !memcmp(frame, "\2\0\0\0\0\x77\2\0\0\0\0\x88\x08\x00", 14),
	       "and the other's by its own");
	tap_ok(option(&socket, IPPROTO_TCP, MSS_OPTION) == SEGMENT &&
		       option(&second, IPPROTO_TCP, MSS_OPTION) == 1000 - 40 - 12,
	       "segments fit the path");
	tap_ok(option(&second, IPPROTO_IP, IP_MTU) == 1000, "IP_MTU");
	tap_ok(ops->give(second.handle, &other) == 0 && other.path.interface == 70000 &&
		       other.path.mtu == 1000 && other.largest_segment == 1460,
	       "the path comes back with it");
	connection_state_clear(&other);
	ops->release(second.handle);
	give(&socket);
}

/* The kernel tells of an MTU of 68 while it has no way for a connection over IPv6. */
static void needs_room_for_options(void)
{
	struct connection_state state = kernels();
	unsigned bytes = 0, largest = 0;
	struct test_socket socket;
	static char data[100];

	state.path.mtu = 48; /* what 68 is for IPv6: 8 bytes besides the headers */
	adopt(&socket, &state);
	wire_clear();
	put(&socket, data, sizeof(data), 0);
	while (wire_get_segment(&seen)) {
		bytes += seen.size;
		largest = seen.size > largest ? seen.size : largest;
	}
	tap_ok(bytes == sizeof(data) && largest == 36,
	       "on a path of next to nothing: %u bytes, %u at a time", bytes, largest);
	ops->release(socket.handle);
	wire_clear();
}

/* Of a peer whose window has never been larger than a segment's options. */
static void needs_room_in_small_windows(void)
{
	static const uint32_t windows[] = { 20, 24, 30, 100 };

	for (unsigned i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		struct connection_state state = kernels();
		unsigned bytes = 0, largest = 0;
		struct test_socket socket;
		static char data[200];
		ssize_t written;

		state.scaled = false;
		state.send_scale = state.receive_scale = 0;
		state.receive_window = 65535;
		state.send_window = state.send_window_max = windows[i];
		adopt(&socket, &state);
		wire_clear();
		written = put(&socket, data, sizeof(data), 0);
		for (int round = 0; round < 400 && bytes < sizeof(data); round++) {
			while (wire_get_segment(&seen)) {
				struct segment answer = { .seq = peer.seq,
							  .flags = ACK,
							  .window = (uint16_t)windows[i] };

				bytes = seen.seq + (unsigned)seen.size - peer.ack;
				largest = seen.size > largest ? (unsigned)seen.size : largest;
				answer.ack = peer.ack + bytes;
				put_stamped(&answer, ++peers_clock);
			}
			ops->poll(stack);
			pass_ms(20);
		}
		tap_ok(written == (ssize_t)sizeof(data) && bytes == sizeof(data) &&
			       largest <= windows[i],
		       "a window of %u bytes: %zd written, %u went, %u at a time", windows[i],
		       written, bytes, largest);
		ops->release(socket.handle);
		wire_clear();
	}
}

static void wait_seconds(unsigned seconds)
{
	while (seconds--) {
		advance_clock(1000 * 1000000ull);
		ops->poll(stack);
	}
}

/* Sends a full segment, of which a router says that it is too big. */
static void narrow(struct test_socket *socket, unsigned mtu)
{
	uint8_t message[8 + 28] = { 3, 4, [6] = (uint8_t)(mtu >> 8), [7] = (uint8_t)mtu };
	static char data[SEGMENT];
	uint8_t frame[100], router[4];

	wire_clear();
	put(socket, data, sizeof(data), 0);
	tap_ok(wire_get_segment(&seen) && seen.size == sizeof(data), "a full segment");
	memcpy(message + 8, seen.packet, 28);
	inet_pton(AF_INET, "198.18.0.1", router);
	wire_put(frame, wire_icmp(frame, false, router, message, sizeof(message)));
	ops->poll(stack);
	wire_clear();
}

static bool takes(struct test_socket *socket, int mtu)
{
	return option(socket, IPPROTO_IP, IP_MTU) == mtu &&
	       option(socket, IPPROTO_TCP, MSS_OPTION) == mtu - 40 - 12;
}

/* What a router has said holds for ten minutes, whatever is forgotten meanwhile. */
static void remembers_routers(void)
{
	struct connection_state state = kernels(), elsewhere = kernels(), later = kernels();
	struct test_socket socket, other, next;

	memcpy(&elsewhere.remote, address4("198.18.0.3", PEER_PORT), sizeof(struct sockaddr_in));
	adopt(&other, &elsewhere);
	narrow(&other, 1400);
	give(&other);
	wait_seconds(300);
	adopt(&socket, &state);
	narrow(&socket, 1300);
	peer.ack += SEGMENT;
	say_stamped(peer.seq, NULL, 0, ++peers_clock);
	tap_ok(takes(&socket, 1300), "a router says 1300: so much are IP_MTU and the segments");
	wait_seconds(301);
	tap_ok(takes(&socket, 1300), "still, when another destination's MTU is forgotten");
	adopt(&next, &later);
	tap_ok(takes(&next, 1300), "the next loan to there begins with it");
	wait_seconds(300);
	tap_ok(takes(&socket, 1500) && takes(&next, 1500), "after ten minutes both try again");
	give(&next);
	give(&socket);
	wire_clear();
}

static void speaks_ipv6(void)
{
	struct connection_state state = kernels();
	struct segment segment = { .flags = ACK, .v6 = true, .data = "six", .size = 3 };
	struct test_socket socket;
	struct sockaddr_storage name;

	memcpy(&state.local, address6(WIRE_OWN6, PORT), sizeof(struct sockaddr_in6));
	memcpy(&state.remote, address6(WIRE_PEER6, 50000), sizeof(struct sockaddr_in6));
	adopt(&socket, &state);
	peer.port = 50000;
	segment.seq = peer.seq;
	segment.ack = peer.ack;
	put_stamped(&segment, ++peers_clock);
	ops->poll(stack);
	tap_ok(reads(&socket, "six"), "IPv6 comes in");
	put(&socket, "answer", 6, 0);
	tap_ok(wire_get_segment(&seen) && seen.v6 && seen.size == 6 && seen.ack == peer.seq + 3 &&
		       memory_link.interface == 7,
	       "and goes out");
	ops->give(socket.handle, &state);
	name = state.remote;
	tap_ok(((struct sockaddr_in6 *)&name)->sin6_port == htons(50000), "and back");
	connection_state_clear(&state);
	ops->release(socket.handle);
}

/* Frames that come by the tap although they should not. */
static void put_raw(const char *what, const uint8_t *bytes, size_t size)
{
	wire_put(bytes, size);
	ops->poll(stack);
	pass_ms(50);
	tap_ok(is_silent(), "no answer to %s", what);
}

static void answers_no_stranger(void)
{
	static const uint8_t arp[42] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,	  0,  0, 0, 0,
					 2,    8,    6,	   0,	 1,    8,    0,	  6,  4, 0, 1,
					 2,    0,    0,	   0,	 0,    2,    198, 18, 0, 2, 0,
					 0,    0,    0,	   0,	 0,    198,  18,  0,  10 };
	static const uint8_t ping[42] = { 2,   0,    0, 0, 0,	1,  2, 0,  0, 0,  0,	2,   8,
					  0,   0x45, 0, 0, 28,	0,  0, 0,  0, 64, 1,	0,   0,
					  198, 18,   0, 2, 198, 18, 0, 10, 8, 0,  0xf7, 0xff };
	static const uint8_t others[] = { SYN, ACK, SYN | ACK, RST, FIN | ACK, RST | ACK, 0 };
	struct segment segment = { .from = 999, .to = PORT, .seq = 5, .ack = 6, .data = "x" };
	struct test_socket socket;
	struct stack_counters before, after;

	borrow(&socket);
	ops->counters(stack, &before);
	put_raw("ARP", arp, sizeof(arp));
	put_raw("a ping", ping, sizeof(ping));
	put_raw("a frame of 3 bytes", arp, 3);
	for (size_t i = 0; i < sizeof(others); i++) {
		segment.flags = others[i];
		segment.size = i % 2;
		wire_put_segment(&segment);
		segment.v6 = !segment.v6;
		wire_put_segment(&segment);
	}
	pass_ms(50);
	tap_ok(is_silent(), "none to segments of other connections");
	segment = (struct segment){ .from = peer.port,
				    .to = PORT,
				    .seq = peer.seq,
				    .ack = peer.ack,
				    .flags = ACK,
				    .data = "half",
				    .size = 4,
				    .fragment = true };
	wire_put_segment(&segment);
	pass_ms(50);
	tap_ok(ready(&socket) == (EPOLLOUT | EPOLLWRNORM) && is_silent(), "nor to a fragment");
	tap_ok(is_asked_for(&socket, STACK_RETURN_PATH), "which the kernel shall put together");
	ops->counters(stack, &after);
	tap_ok(after.rx_drops - before.rx_drops == 3 + 2 * sizeof(others) + 1,
	       "all of them are counted");
	give(&socket);
	tell("too late");
	pass_ms(50);
	tap_ok(is_silent(), "nor to one that was given back");
}

/* An IPv4 header that says more, or less, than there is; padding; options. */
static void measures_packets(void)
{
	uint8_t frame[2048] = { 0 };
	struct test_socket socket;
	struct segment segment;
	size_t size;

	borrow(&socket);
	segment = (struct segment){ .from = peer.port,
				    .to = PORT,
				    .seq = peer.seq,
				    .ack = peer.ack,
				    .flags = ACK,
				    .data = "data",
				    .size = 4 };
	size = wire_build(&segment, frame);
	frame[17] += 1;
	wire_put(frame, size);
	ops->poll(stack);
	tap_ok(!(ready(&socket) & EPOLLIN), "longer than the frame: dropped");
	frame[17] -= 1;
	frame[14] = 0x46;
	wire_put(frame, size);
	ops->poll(stack);
	tap_ok(!(ready(&socket) & EPOLLIN), "with IP options: dropped");
	frame[14] = 0x45;
	frame[47] = 0x40; /* a TCP header of 16 bytes */
	wire_put(frame, size);
	ops->poll(stack);
	tap_ok(!(ready(&socket) & EPOLLIN), "with half a TCP header: dropped");
	wire_build(&segment, frame);
	wire_put(frame, size + 20);
	ops->poll(stack);
	tap_ok(reads(&socket, "data"), "padding is no data");
	give(&socket);
}

static uint64_t foreign(void)
{
	struct stack_counters counters;

	ops->counters(stack, &counters);
	return counters.rx_drops_foreign;
}

/* The peer of the connection that is lent next. */
static void know_peer(const struct connection_state *state)
{
	peer = (struct peer){ .port = ntohs(((const struct sockaddr_in *)&state->remote)->sin_port),
			      .stack_port = PORT,
			      .seq = state->receive_next,
			      .ack = state->send_unacknowledged };
}

static void keeps_what_is_early(void)
{
	struct connection_state state = kernels(), never = kernels();
	const uint64_t before = foreign();
	struct test_socket socket;

	know_peer(&state);
	tell("lost");
	tap_ok(foreign() == before + 1, "before a loan: nobody's");
	ops->adopt_begin(stack);
	ops->adopt_begin(stack);
	know_peer(&never);
	tell("never");
	know_peer(&state);
	tell("one ");
	tell("two ");
	adopt(&socket, &state);
	peer.seq += 8;
	tap_ok(take_events(&socket) & EPOLLIN, "what came during the loan is told");
	tell("three");
	ops->adopt_end(stack);
	tap_ok(foreign() == before + 1 && reads(&socket, "one two three"), "and read, in order");
	ops->adopt_end(stack);
	tap_ok(foreign() == before + 2, "what nobody adopts goes with the last loan");
	know_peer(&never);
	tell("never");
	tap_ok(foreign() == before + 3, "and is nobody's then");
	ops->adopt_begin(stack);
	for (int i = 0; i < 1000; i++)
		tell("much");
	tap_ok(foreign() > before + 3 + 900 && foreign() < before + 3 + 1000,
	       "not all of very much is kept");
	ops->adopt_end(stack);
	tap_ok(foreign() == before + 3 + 1000, "nothing is left");
	ops->release(socket.handle);
	pass_ms(10);
	wire_clear();
}

/* ---- giving back ---- */

static void gives_what_there_is(void)
{
	static char full[200000];
	struct test_socket socket;
	struct connection_state back;
	uint32_t read_from;
	size_t written;

	borrow(&socket);
	read_from = peer.seq;
	say_stamped(peer.seq + 3000, "hole", 4, ++peers_clock);
	tell("in order");
	tap_ok(ops->give(socket.handle, &back) == 0 && back.receive_size == 8 &&
		       back.receive_next == read_from + 8,
	       "what came behind a gap is not given");
	connection_state_clear(&back);
	ops->release(socket.handle);

	borrow(&socket);
	{
		struct segment shut = {
			.seq = peer.seq, .ack = peer.ack, .flags = ACK, .shut = true
		};

		put_stamped(&shut, ++peers_clock);
	}
	ops->poll(stack);
	written = (size_t)put(&socket, full, sizeof(full), 0);
	pass_ms(500);
	tap_ok(ops->give(socket.handle, &back) == 0 && back.send_window == 0 &&
		       back.send_size == written,
	       "the peer has no room: all %zu bytes go back", written);
	connection_state_clear(&back);
	ops->release(socket.handle);

	borrow(&socket);
	read_from = peer.seq;
	for (int i = 0; i < 60; i++) {
		say_stamped(peer.seq, full, 1200, ++peers_clock);
		peer.seq += 1200;
	}
	tap_ok(ops->give(socket.handle, &back) == 0 &&
		       back.receive_size == back.receive_next - read_from &&
		       back.receive_size >= 60000,
	       "we have no room: %zu unread bytes go back", back.receive_size);
	tap_ok(back.receive_window_start + back.receive_window - (read_from + 65536 - 4) <
		       UINT32_MAX / 2,
	       "the window's edge is where it was, or further");
	connection_state_clear(&back);
	ops->release(socket.handle);
}

/* A peer without room is asked by the next byte, which it may keep: that must be the right one. */
static void probe_bears_the_next_byte(void)
{
	struct segment shut = { .flags = ACK, .shut = true };
	struct connection_state back;
	struct test_socket socket;
	bool probed = false;

	borrow(&socket);
	shut.seq = peer.seq;
	shut.ack = peer.ack;
	put_stamped(&shut, ++peers_clock);
	ops->poll(stack);
	put(&socket, "Zwei", 4, 0);
	for (int i = 0; i < 50 && !probed; i++) {
		pass_ms(100);
		probed = wire_get_segment(&seen) && seen.size > 0;
	}
	tap_ok(probed && seen.seq == peer.ack && is_stamped(), "a probe comes");
	tap_ok(seen.size == 1 && *(const char *)seen.data == 'Z', "and bears the next byte");
	tap_ok(ops->give(socket.handle, &back) == 0 && back.send_size == 4 &&
		       !memcmp(back.send_data, "Zwei", 4),
	       "what the peer did not take goes back");
	connection_state_clear(&back);
	ops->release(socket.handle);
}

/* Until the stack asks by a byte: the next segment is that probe. */
static bool is_probed(struct segment *shut)
{
	put_stamped(shut, ++peers_clock);
	ops->poll(stack);
	for (int i = 0; i < 50; i++) {
		pass_ms(100);
		if (wire_get_segment(&seen) && seen.size > 0)
			return true;
	}
	return false;
}

/* What a probe has asked with is lost when it is sent: it is sent again as any other byte. */
static void probed_byte_is_lost(void)
{
	struct segment shut = { .flags = ACK, .shut = true };
	struct segment opened = { .flags = ACK };
	struct test_socket socket;
	unsigned again = 0;

	borrow(&socket);
	shut.seq = opened.seq = peer.seq;
	shut.ack = opened.ack = peer.ack;
	put_stamped(&shut, ++peers_clock);
	ops->poll(stack);
	put(&socket, "Z", 1, 0);
	tap_ok(is_probed(&shut), "the only byte is asked with");
	put_stamped(&shut, ++peers_clock);
	ops->poll(stack);
	wire_clear();
	put_stamped(&opened, ++peers_clock);
	ops->poll(stack);
	tap_ok(wire_get_segment(&seen) && seen.size == 1, "and sent when there is room");
	for (int i = 0; i < 600; i++) {
		pass_ms(100);
		while (wire_get_segment(&seen))
			again += seen.size > 0;
	}
	tap_ok(again > 1, "lost, it is sent again: %u times in a minute", again);
	ops->release(socket.handle);
	wire_clear();
}

/* The peer takes a byte at a time: the probe's first. Returns how many it has got in a minute. */
static unsigned taken_one_by_one(struct segment *answer)
{
	const uint32_t first = answer->ack;

	answer->shut = false;
	answer->window = 1;
	answer->ack++;
	for (int i = 0; i < 3000; i++) {
		put_stamped(answer, ++peers_clock);
		ops->poll(stack);
		pass_ms(20);
		while (wire_get_segment(&seen))
			if (seen.seq + seen.size - answer->ack - 1 < UINT32_MAX / 2)
				answer->ack = seen.seq + (uint32_t)seen.size;
	}
	return answer->ack - first;
}

static void probed_byte_is_taken(void)
{
	struct segment answer = { .flags = ACK, .shut = true };
	struct connection_state state = kernels();
	struct test_socket socket;
	unsigned taken;

	state.scaled = false;
	state.send_scale = state.receive_scale = 0;
	state.receive_window = 65535;
	adopt(&socket, &state);
	wire_clear();
	answer.seq = peer.seq;
	answer.ack = peer.ack;
	put_stamped(&answer, ++peers_clock);
	ops->poll(stack);
	put(&socket, "Zweiundzwanzig", 14, 0);
	tap_ok(is_probed(&answer), "a byte is asked with");
	taken = taken_one_by_one(&answer);
	tap_ok(taken == 14, "by a window of 1: %u bytes of 14", taken);
	ops->release(socket.handle);
	wire_clear();
}

/* A window that has room for a part of a segment: it is cut, and its options are in both parts. */
static void small_window_loses_nothing(void)
{
	struct connection_state back;
	struct test_socket socket;
	struct segment small = { .ack = 0, .flags = ACK, .window = 3 };
	uint8_t text[1400];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7 + i / 251);
	borrow(&socket);
	small.seq = peer.seq;
	small.ack = peer.ack;
	put_stamped(&small, ++peers_clock);
	ops->poll(stack);
	tap_ok(put(&socket, text, sizeof(text), 0) == (ssize_t)sizeof(text), "a segment to cut");
	pass_ms(3000);
	tap_ok(ops->give(socket.handle, &back) == 0 && back.send_size == sizeof(text) &&
		       !memcmp(back.send_data, text, sizeof(text)),
	       "a window of 384 bytes: all %zu bytes are as they were written", sizeof(text));
	connection_state_clear(&back);
	ops->release(socket.handle);
}

static void is_stale(void)
{
	struct sockaddr_storage name;
	struct connection_state state;
	struct test_socket socket, other;
	struct timespec time;
	struct stack_losses losses;
	char byte;

	borrow(&socket);
	tell("unread");
	put(&socket, "unsent", 6, 0);
	ops->give(socket.handle, &state);
	connection_state_clear(&state);
	wire_clear();
	tap_ok(ready(&socket) == (EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM),
	       "given back: it seems to be ready");
	tap_ok(ops->readable(socket.handle) == 0 && ops->unsent(socket.handle) == 0 &&
		       ops->urgent(socket.handle) == SIZE_MAX,
	       "with nothing in it");
	tap_ok(get(&socket, &byte, 1, 0) == -ESTALE && put(&socket, "x", 1, 0) == -ESTALE &&
		       get(&socket, &byte, 1, MSG_PEEK) == -ESTALE &&
		       get(&socket, &byte, 1, MSG_OOB) == -ESTALE,
	       "reading and writing: -ESTALE");
	tap_ok(ops->shutdown(socket.handle, SHUT_WR) == -ESTALE &&
		       ops->listen(socket.handle, address4(WIRE_OWN, 1), 1) == -ESTALE &&
		       ops->connect(socket.handle, NULL, address4(WIRE_PEER, 1)) == -ESTALE &&
		       ops->accept(socket.handle, &other.handle, &name) == -ESTALE &&
		       ops->name(socket.handle, true, &name) == -ESTALE &&
		       option(&socket, IPPROTO_TCP, MSS_OPTION) == -ESTALE &&
		       set(&socket, IPPROTO_TCP, MSS_OPTION, 1000) == -ESTALE &&
		       ops->received_at(socket.handle, &time) == -ESTALE &&
		       ops->give(socket.handle, &state) == -ESTALE,
	       "all else as well");
	ops->losses(socket.handle, &losses);
	tap_ok(reason_of(&socket) == STACK_RETURN_NONE && losses.timeouts == 0,
	       "counts can still be asked for");
	ops->release(socket.handle);
	pass_ms(50);
	tap_ok(is_silent(), "and nothing was sent");
}

static void is_let_go(void)
{
	struct test_socket socket;

	borrow(&socket);
	tell("unread");
	wire_clear();
	ops->release(socket.handle);
	pass_ms(500);
	tap_ok(is_silent(), "released without being given back: neither FIN nor RST");
}

/* ---- together ---- */

/* What one thread reads while another gives back: nothing is lost or double. */
static void *read_all(void *argument)
{
	struct test_socket *socket = argument;
	uintptr_t total = 0;
	char bytes[7];
	ssize_t size;

	while ((size = get(socket, bytes, sizeof(bytes), 0)) != -ESTALE)
		total += size > 0 ? (uintptr_t)size : 0;
	return (void *)total;
}

static void races(void)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < 200; i++) {
		struct test_socket socket;
		struct connection_state state = borrow(&socket), back;
		pthread_t reader;
		void *total;

		for (unsigned k = 0; k < 20; k++) {
			struct segment segment = { .seq = peer.seq + 10 * k,
						   .ack = peer.ack,
						   .flags = ACK,
						   .data = "0123456789",
						   .size = 10 };

			put_stamped(&segment, ++peers_clock);
		}
		pthread_create(&reader, NULL, read_all, &socket);
		for (volatile unsigned wait = 0; wait < i * 200; wait++)
			;
		if (ops->give(socket.handle, &back))
			wrong++;
		pthread_join(reader, &total);
		if ((uintptr_t)total + back.receive_size != back.receive_next - state.receive_next)
			wrong++;
		connection_state_clear(&back);
		ops->release(socket.handle);
		ops->poll(stack); /* what is left is nobody's */
	}
	wire_clear(); /* the last reader may have acknowledged what it has read */
	tap_ok(wrong == 0, "a reader and a give-back: nothing is lost or double");
}

#define MANY 65536u

/* Peers with 65,536 addresses. */
static const struct sockaddr *many(uint32_t number)
{
	static struct sockaddr_in name;

	name = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(PEER_PORT),
				     .sin_addr.s_addr = htonl(0xc6120000 + 0x10000 + number) };
	return (const struct sockaddr *)&name;
}

static uint64_t frame_ns(uint32_t count)
{
	struct timespec from, to;
	char source[16];

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t number = (i * 2654435761u) % count;
		const struct sockaddr_in *name = (const void *)many(number);
		struct segment segment = { .from = PEER_PORT,
					   .to = PORT,
					   .seq = first_sequence,
					   .ack = first_sequence + 77,
					   .flags = ACK,
					   .source = source };

		inet_ntop(AF_INET, &name->sin_addr, source, sizeof(source));
		wire_put_segment(&segment);
		if (i % 32 == 31)
			ops->poll(stack);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000 + (uint64_t)to.tv_nsec -
	       (uint64_t)from.tv_nsec;
}

static void finds_among_many(void)
{
	struct test_socket *sockets = calloc(MANY, sizeof(*sockets));
	unsigned failed = 0;
	uint64_t few = 0, all;

	for (uint32_t i = 0; i < MANY; i++) {
		struct connection_state state = kernels();

		state.timestamps = false;
		memcpy(&state.remote, many(i), sizeof(struct sockaddr_in));
		failed += ops->adopt(stack, AF_INET, false, &sockets[i], &state,
				     &sockets[i].handle) != 0;
		if (i == 15)
			few = frame_ns(16);
	}
	all = frame_ns(MANY);
	printf("# %llu ns a frame among 16 connections, %llu among %u\n",
	       (unsigned long long)few / 20000, (unsigned long long)all / 20000, MANY);
	/* Each misses the cache in some places; a walk would take a thousand times as long. */
	tap_ok(failed == 0 && all < 500 * few, "%u connections: found without a walk", MANY);
	failed = 0;
	for (uint32_t i = 0; i < MANY; i++) {
		struct connection_state state;

		failed += ops->give(sockets[i].handle, &state) != 0;
		connection_state_clear(&state);
		ops->release(sockets[i].handle);
	}
	tap_ok(failed == 0 && is_silent(), "and all given back");
	free(sockets);
}

static void closes_in_silence(void)
{
	struct stack_counters counters;
	struct test_socket socket;

	borrow(&socket);
	tell("unread");
	put(&socket, "unacknowledged", 14, 0);
	wire_clear();
	ops->close(stack, 100, &counters);
	tap_ok(is_silent(), "the process ends: without a word");
}

static void tests(void)
{
	open_tap();
	has_no_addresses();
	goes_its_way();
	needs_room_for_options();
	needs_room_in_small_windows();
	remembers_routers();
	speaks_ipv6();
	answers_no_stranger();
	keeps_what_is_early();
	measures_packets();
	gives_what_there_is();
	small_window_loses_nothing();
	probe_bears_the_next_byte();
	probed_byte_is_lost();
	probed_byte_is_taken();
	is_stale();
	is_let_go();
	races();
	if (first_sequence == 1u << 30) /* once is enough */
		finds_among_many();
	closes_in_silence();
	tap_ok(complaints == 0, "lwIP never complained");
}

int main(void)
{
	return run_at_each_start(tests);
}
