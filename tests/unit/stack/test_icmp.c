/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP errors about the stack's segments, both families: what connect() is told, what an
 * established connection makes of them, and that forged ones change nothing. The MTU of a path that
 * becomes smaller under a live connection, and larger again.
 */
#include <netinet/in.h>

#include "stack/socket/socket.h"
#include "stack/tcp/timestamps.h"
#include "tests/unit/stack/peer.h"

#define PORT 7000

/* An ICMP error of the family, from a router, about the packet. */
static void complain(bool v6, uint8_t type, uint8_t code, uint32_t word, const uint8_t *packet,
		     bool good)
{
	uint8_t message[8 + 60] = { type, code }, frame[200], router[16];
	size_t quoted = v6 ? 60 : 28, size;

	inet_pton(v6 ? AF_INET6 : AF_INET, v6 ? "fd00::1" : "198.18.0.1", router);
	word = htonl(word);
	memcpy(message + 4, &word, sizeof(word));
	memcpy(message + 8, packet, quoted);
	size = wire_icmp(frame, v6, router, message, 8 + quoted);
	frame[size - quoted - 5] ^= !good; /* of the checksum */
	wire_put(frame, size);
	ops->poll(stack);
}

/* Begins to connect; *syn is what the stack has sent. */
static bool begin(struct test_socket *socket, bool v6, struct segment *syn)
{
	wire_clear();
	create(socket, v6 ? AF_INET6 : AF_INET);
	ops->connect(socket->handle, NULL,
		     v6 ? address6(WIRE_PEER6, PORT) : address4(WIRE_PEER, PORT));
	ops->poll(stack);
	return wire_get_segment(syn) && syn->flags == SYN;
}

/* The peer answers: an established connection. */
static void answer(struct test_socket *socket, const struct segment *syn, struct peer *peer)
{
	struct segment segment = { .from = syn->to,
				   .to = syn->from,
				   .seq = 5000,
				   .ack = syn->seq + 1,
				   .flags = SYN | ACK,
				   .options = syn_options,
				   .option_size = sizeof(syn_options),
				   .v6 = syn->v6 };

	wire_put_segment(&segment);
	ops->poll(stack);
	wire_clear();
	*peer = (struct peer){
		.port = syn->to, .stack_port = syn->from, .seq = 5001, .ack = syn->seq + 1
	};
	take_events(socket);
}

static void acknowledge(const struct peer *peer, bool v6, uint32_t ack)
{
	wire_put_segment(&(struct segment){ .from = peer->port,
					    .to = peer->stack_port,
					    .seq = peer->seq,
					    .ack = ack,
					    .flags = ACK,
					    .v6 = v6 });
	ops->poll(stack);
}

static void test_connect(void)
{
	static const struct {
		bool v6;
		uint8_t type, code;
		int error; /* 0: it goes on trying */
	} cases[] = {
		{ false, 3, 0, ENETUNREACH },
		{ false, 3, 1, EHOSTUNREACH },
		{ false, 3, 2, ENOPROTOOPT },
		{ false, 3, 3, ECONNREFUSED },
		{ false, 3, 5, EOPNOTSUPP },
		{ false, 3, 6, ENETUNREACH },
		{ false, 3, 7, EHOSTDOWN },
		{ false, 3, 8, ENONET },
		{ false, 3, 9, ENETUNREACH },
		{ false, 3, 10, EHOSTUNREACH },
		{ false, 3, 11, ENETUNREACH },
		{ false, 3, 12, EHOSTUNREACH },
		{ false, 3, 13, EHOSTUNREACH },
		{ false, 3, 14, EHOSTUNREACH },
		{ false, 3, 15, EHOSTUNREACH },
		{ false, 11, 0, EHOSTUNREACH },
		{ false, 12, 0, EPROTO },
		{ false, 3, 16, 0 },
		{ false, 4, 0, 0 },
		{ false, 5, 1, 0 },
		{ true, 1, 0, ENETUNREACH },
		{ true, 1, 1, EACCES },
		{ true, 1, 2, EHOSTUNREACH },
		{ true, 1, 3, EHOSTUNREACH },
		{ true, 1, 4, ECONNREFUSED },
		{ true, 1, 5, EACCES },
		{ true, 1, 6, EACCES },
		{ true, 3, 0, EHOSTUNREACH },
		{ true, 4, 1, EPROTO },
		{ true, 137, 0, 0 },
	};
	const uint32_t failed = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool v6 = cases[i].v6;
		struct test_socket socket;
		struct segment syn;
		int got;

		if (!begin(&socket, v6, &syn)) {
			tap_ok(false, "a SYN");
			return;
		}
		take_events(&socket);
		complain(v6, cases[i].type, cases[i].code, 0, syn.packet, true);
		got = ops->connect(socket.handle, NULL,
				   v6 ? address6(WIRE_PEER6, PORT) : address4(WIRE_PEER, PORT));
		tap_ok(got == (cases[i].error ? -cases[i].error : -EALREADY) &&
			       (take_events(&socket) & failed) == (cases[i].error ? failed : 0),
		       "connect() after ICMP%s type %d code %d: %s", v6 ? "v6" : "", cases[i].type,
		       cases[i].code, strerror(-got));
		drop(&socket);
	}
}

static void test_forged(void)
{
	struct test_socket socket;
	struct segment syn;
	uint8_t packet[64];

	begin(&socket, false, &syn);
	memcpy(packet, syn.packet, 28);
	packet[27] += 2; /* a sequence number that is not in flight */
	complain(false, 3, 3, 0, packet, true);
	memcpy(packet, syn.packet, 28);
	packet[9] = 17; /* a datagram of the same ports */
	complain(false, 3, 3, 0, packet, true);
	complain(false, 3, 3, 0, syn.packet, false); /* a wrong checksum */
	memcpy(packet, syn.packet, 28);
	packet[0] = 0x4f; /* a header longer than the quotation */
	complain(false, 3, 3, 0, packet, true);
	tap_ok(ops->connect(socket.handle, NULL, address4(WIRE_PEER, PORT)) == -EALREADY,
	       "an error about what is not in flight changes nothing");
	complain(false, 3, 3, 0, syn.packet, true);
	tap_ok(option(&socket, SOL_SOCKET, SO_ERROR) == ECONNREFUSED, "SO_ERROR has the true one");
	tap_ok(ops->connect(socket.handle, NULL, address4(WIRE_PEER, PORT)) == -ECONNABORTED &&
		       ops->connect(socket.handle, NULL, address4(WIRE_PEER, PORT)) == -EINPROGRESS,
	       "and the socket can try again");
	drop(&socket);
}

static void test_established(bool v6)
{
	int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	struct test_socket socket;
	struct segment segment;
	struct peer peer;
	char byte;

	begin(&socket, v6, &segment);
	answer(&socket, &segment, &peer);
	put(&socket, "x", 1, 0);
	wire_get_segment(&segment);
	complain(v6, v6 ? 1 : 3, v6 ? 0 : 1, 0, segment.packet, true);
	tap_ok(!(ready(&socket) & EPOLLERR) && get(&socket, &byte, 1, 0) == -EAGAIN,
	       "an established connection goes on%s", v6 ? ", IPv6" : "");
	tap_ok(option(&socket, SOL_SOCKET, SO_ERROR) == (v6 ? ENETUNREACH : EHOSTUNREACH) &&
		       option(&socket, SOL_SOCKET, SO_ERROR) == 0,
	       "SO_ERROR tells it, once");
	tap_ok(set(&socket, level, v6 ? IPV6_RECVERR : IP_RECVERR, 1) == 0 &&
		       option(&socket, level, v6 ? IPV6_RECVERR : IP_RECVERR) == 1,
	       "unless the program wants to know");
	complain(v6, v6 ? 1 : 3, v6 ? 0 : 1, 0, segment.packet, true);
	tap_ok((take_events(&socket) & EPOLLERR) && (ready(&socket) & EPOLLERR) &&
		       get(&socket, &byte, 1, 0) == (v6 ? -ENETUNREACH : -EHOSTUNREACH),
	       "then the next call has the error");
	tap_ok(put(&socket, "y", 1, 0) == 1, "once");
	drop(&socket);
}

/* What is sent after the MTU has become smaller: no packet is larger, and no byte is missing. */
static uint32_t collect(uint32_t from, size_t *largest)
{
	struct segment segment;

	*largest = 0;
	while (wire_get_segment(&segment)) {
		if (segment.size > *largest)
			*largest = segment.size;
		if (segment.seq == from)
			from += (uint32_t)segment.size;
	}
	return from;
}

/* A connection whose path gets a smaller MTU. */
struct narrowed {
	bool v6;
	unsigned mtu, headers;
	struct test_socket socket;
	struct peer peer;
	uint8_t packet[64];  /* the beginning of one that was too big */
	uint32_t first, end; /* what has been sent, from the first number on */
	size_t largest;	     /* of the segments that were collected last */
};

static char narrowed_data[20000];

static int mtu_of(struct narrowed *narrowed)
{
	return narrowed->v6 ? option(&narrowed->socket, IPPROTO_IPV6, IPV6_MTU)
			    : option(&narrowed->socket, IPPROTO_IP, IP_MTU);
}

static void say_too_big(const struct narrowed *narrowed, unsigned mtu, const uint8_t *packet)
{
	complain(narrowed->v6, narrowed->v6 ? 2 : 3, narrowed->v6 ? 0 : 4, mtu, packet, true);
}

static void collect_all(struct narrowed *narrowed)
{
	narrowed->end = collect(narrowed->end, &narrowed->largest);
}

static void send_full_segments(struct narrowed *narrowed)
{
	struct segment segment;

	begin(&narrowed->socket, narrowed->v6, &segment);
	tap_ok(narrowed->v6 || segment.dont_fragment, "a SYN must not be fragmented");
	answer(&narrowed->socket, &segment, &narrowed->peer);
	narrowed->first = narrowed->end = narrowed->peer.ack;
	tap_ok(mtu_of(narrowed) == 1500, "the MTU is the device's");
	put(&narrowed->socket, narrowed_data, sizeof(narrowed_data), 0);
	wire_get_segment(&segment);
	tap_ok(segment.size == 1500 - narrowed->headers && (narrowed->v6 || segment.dont_fragment),
	       "full segments, not to be fragmented");
	memcpy(narrowed->packet, segment.packet, 60);
	wire_clear();
}

static void believe_router(struct narrowed *narrowed)
{
	uint8_t *number = &narrowed->packet[narrowed->v6 ? 44 : 24];
	struct segment segment;

	*number ^= 0x40; /* far from what is in flight */
	say_too_big(narrowed, narrowed->mtu, narrowed->packet);
	tap_ok(mtu_of(narrowed) == 1500 && !wire_get_segment(&segment),
	       "a forged MTU is not believed");
	*number ^= 0x40;
	say_too_big(narrowed, narrowed->mtu, narrowed->packet);
	collect_all(narrowed);
	tap_ok(mtu_of(narrowed) == (int)narrowed->mtu, "a router's MTU is");
	tap_ok(narrowed->largest == narrowed->mtu - narrowed->headers &&
		       narrowed->end - narrowed->first >= 10000,
	       "what is in flight is sent again: %u bytes, %zu a segment",
	       narrowed->end - narrowed->first, narrowed->largest);
}

static void send_in_smaller_segments(struct narrowed *narrowed)
{
	const size_t most = narrowed->mtu - narrowed->headers;
	uint32_t before = narrowed->end - 1;

	while (narrowed->end - narrowed->first < sizeof(narrowed_data) && narrowed->end != before &&
	       narrowed->largest <= most) {
		before = narrowed->end;
		acknowledge(&narrowed->peer, narrowed->v6, before);
		collect_all(narrowed);
	}
	tap_ok(narrowed->end - narrowed->first == sizeof(narrowed_data) &&
		       narrowed->largest <= most,
	       "and all the rest fits");
	acknowledge(&narrowed->peer, narrowed->v6, narrowed->end);
	put(&narrowed->socket, narrowed_data, 5000, 0);
	collect_all(narrowed);
	tap_ok(narrowed->largest == most, "new data too");
	acknowledge(&narrowed->peer, narrowed->v6, narrowed->end);
	say_too_big(narrowed, 1400, narrowed->packet);
	tap_ok(mtu_of(narrowed) == (int)narrowed->mtu, "no router makes it larger");
}

static void say_far_too_big(struct narrowed *narrowed)
{
	struct segment segment;

	put(&narrowed->socket, narrowed_data, 100, 0);
	wire_get_segment(&segment);
	if (narrowed->v6) {
		say_too_big(narrowed, 1279, segment.packet);
		tap_ok(mtu_of(narrowed) == (int)narrowed->mtu, "or smaller than IPv6 allows");
		return;
	}
	say_too_big(narrowed, 68, segment.packet);
	put(&narrowed->socket, narrowed_data, 1000, 0);
	acknowledge(&narrowed->peer, false, narrowed->end + 100);
	wire_get_segment(&segment);
	tap_ok(mtu_of(narrowed) == 552 && segment.size == 512 && !segment.dont_fragment,
	       "below 552 bytes routers may fragment instead: %zu", segment.size);
	wire_clear();
	narrowed->end += 1000;
}

static void test_smaller_mtu(bool v6)
{
	struct narrowed narrowed = { .v6 = v6, .mtu = 1300, .headers = v6 ? 60 : 40 };

	introduce(); /* minutes have passed */
	send_full_segments(&narrowed);
	believe_router(&narrowed);
	send_in_smaller_segments(&narrowed);
	say_far_too_big(&narrowed);
	acknowledge(&narrowed.peer, v6, narrowed.end + 100);
	for (unsigned second = 0; second < 601; second++) {
		advance_clock(1000 * 1000000ull);
		ops->poll(stack);
	}
	introduce();
	put(&narrowed.socket, narrowed_data, 3000, 0);
	ops->poll(stack); /* the answer to ARP */
	collect(narrowed.end + 100, &narrowed.largest);
	tap_ok(mtu_of(&narrowed) == 1500 && narrowed.largest == 1500 - narrowed.headers,
	       "after ten minutes it tries again: %zu", narrowed.largest);
	drop(&narrowed.socket);
	wire_clear();
}

/* A router's word while an option of twelve bytes takes room in each segment. */
static void test_timestamps(void)
{
	static char data[5000];
	struct test_socket socket;
	struct segment segment;
	uint8_t packet[64];
	struct peer peer;
	size_t largest;

	begin(&socket, false, &segment);
	answer(&socket, &segment, &peer);
	timestamps_begin(socket.handle->pcb, 1, 0);
	put(&socket, data, sizeof(data), 0);
	wire_get_segment(&segment);
	memcpy(packet, segment.packet, 60);
	wire_clear();
	complain(false, 3, 4, 1200, packet, true);
	collect(peer.ack, &largest);
	tap_ok(largest == 1200 - 40 - TIMESTAMPS_LENGTH,
	       "options count, too, when the MTU becomes smaller: %zu", largest);
	drop(&socket);
	wire_clear();
}

static void wait_seconds(unsigned seconds)
{
	while (seconds--) {
		advance_clock(1000 * 1000000ull);
		ops->poll(stack);
	}
}

/*
 * What is known of one path is forgotten while a connection holds data for another one, of which
 * only somebody else knows that it has become smaller.
 */
static void test_others(void)
{
	static char data[20000];
	struct test_socket first, second, other;
	struct segment segment;
	struct peer peer, other_peer;
	uint8_t packet[64];

	introduce();
	begin(&first, true, &segment);
	answer(&first, &segment, &peer);
	put(&first, data, 1000, 0);
	wire_get_segment(&segment);
	complain(true, 2, 0, 1400, segment.packet, true);
	drop(&first);
	wait_seconds(500);
	begin(&other, false, &segment);
	answer(&other, &segment, &other_peer);
	begin(&second, false, &segment);
	answer(&second, &segment, &peer);
	put(&second, data, 3000, 0);
	wire_get_segment(&segment);
	memcpy(packet, segment.packet, 60);
	complain(false, 3, 4, 1000, packet, true);
	wait_seconds(99);
	put(&other, data, sizeof(data), 0);
	wait_seconds(2);
	tap_ok(option(&other, IPPROTO_IP, IP_MTU) == 1000, "one has learnt of a smaller MTU");
	put(&other, data, 100, 0);
	tap_ok(complaints == 0, "the other's data still fit its segments");
	drop(&second);
	drop(&other);
	wait_seconds(600);
	introduce();
	wire_clear();
}

static void test_discover(void)
{
	struct test_socket socket;
	struct segment segment;
	struct peer peer;

	wire_clear();
	create(&socket, AF_INET);
	tap_ok(option(&socket, IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_WANT &&
		       option(&socket, IPPROTO_IP, IP_MTU) == -ENOTCONN &&
		       set(&socket, IPPROTO_IP, IP_MTU_DISCOVER, 6) == -EINVAL &&
		       set(&socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT) == 0 &&
		       option(&socket, IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_DONT,
	       "IP_MTU_DISCOVER");
	ops->connect(socket.handle, NULL, address4(WIRE_PEER, PORT));
	ops->poll(stack);
	wire_get_segment(&segment);
	tap_ok(segment.flags == SYN && !segment.dont_fragment, "without it routers may fragment");
	answer(&socket, &segment, &peer);
	put(&socket, "x", 1, 0);
	wire_get_segment(&segment);
	complain(false, 3, 4, 1000, segment.packet, true);
	set(&socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	put(&socket, "y", 1, 0);
	acknowledge(&peer, false, peer.ack + 1);
	tap_ok(wire_get_segment(&segment) && segment.dont_fragment, "and with it not");
	drop(&socket);
	wire_clear();
}

/* RFC 5461, Linux's tcp_req_err(): what a stranger has begun ends where he cannot be reached. */
static void test_half_open(void)
{
	struct test_socket listener, server;
	struct segment synack;
	struct peer peer = { .port = 4000, .stack_port = 80, .seq = 1000 };

	create(&listener, AF_INET);
	ops->listen(listener.handle, address4(WIRE_OWN, 80), 16);
	say(&peer, SYN, NULL, 0);
	wire_get_segment(&synack);
	tap_ok(synack.flags == (SYN | ACK) && synack.dont_fragment, "a SYN-ACK");
	complain(false, 3, 3, 0, synack.packet, true);
	peer.ack = synack.seq + 1;
	say(&peer, ACK, NULL, 0);
	tap_ok(accept_one(&listener, &server), "port unreachable does not end a half-open one");
	drop(&server);
	peer = (struct peer){ .port = 4001, .stack_port = 80, .seq = 1000 };
	wire_clear();
	say(&peer, SYN, NULL, 0);
	wire_get_segment(&synack);
	complain(false, 3, 1, 0, synack.packet, true);
	peer.ack = synack.seq + 1;
	wire_clear();
	say(&peer, ACK, NULL, 0);
	tap_ok(!accept_one(&listener, &server) && melin_index_check() == 0,
	       "host unreachable does");
	drop(&listener);
	wire_clear();
}

static void run_tests(void)
{
	open_wire();
	introduce();
	test_connect();
	test_forged();
	test_established(false);
	test_established(true);
	test_smaller_mtu(false);
	test_smaller_mtu(true);
	test_timestamps();
	test_others();
	test_discover();
	test_half_open();
	tap_ok(complaints == 0, "lwIP never complained");
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
