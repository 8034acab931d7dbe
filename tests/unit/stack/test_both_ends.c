/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both ends of connections are the stack's: the wire between them changes the addresses on the
 * way, so that each end sees a stranger, and loses, repeats and reorders in both directions, in
 * virtual time. Every byte is compared, lwIP does not complain, and nothing is left over. There are
 * strangers who know addresses and ports but not the numbers, and enemies who see it all: what
 * these end begins anew, and only the stack itself must survive.
 */
#include <linux/tcp.h>

#include "lwip/prot/icmp.h"
#include "lwip/prot/icmp6.h"

#include "stack/tcp/path.h"
#include "stack/tcp/recovery.h"
#include "stack/socket/socket.h"
#include "stack/events/timers.h"
#include "tests/unit/stack/peer.h"

#define PORT	    7000
#define ALIAS	    "198.18.0.3" /* as whom the listener sees the client */
#define ALIAS6	    "fd00::3"
#define PAIRS_MAX   8
#define HEADER	    14
#define TIME_MAX_MS (1800 * 1000)
#define HOSTILE_MS  3000

struct course {
	const char *name;
	double loss, duplicate, reorder; /* 0 to 1, in both directions */
	double forge;			 /* forged segments for each true one */
	uint32_t delay_us, late_us;	 /* late: how much longer what is reordered takes */
	unsigned pairs;
	uint32_t up, down;	/* bytes that the client and the server send */
	uint32_t buffer;	/* of both ends; 0: as it is */
	unsigned pause_ms;	/* of readers, now and then */
	unsigned mtu, mtu_late; /* of the way; and from the middle on; 0: the device's */
	bool close_early;	/* close() with data that has not left */
	bool hostile;		/* what is forged may hurt: only the stack itself must survive */
	bool v6;
};

struct end {
	struct test_socket socket;
	uint32_t to_send, sent, to_get, got;
	uint64_t pause_until_ms;
	bool ended, wrong, shut, dropped;
};

struct pair {
	struct end ends[2];
	bool accepted;
};

struct item {
	struct item *next;
	uint64_t due_us;
	size_t size;
	uint8_t frame[2048];
};

static struct course course;
static struct pair pairs[PAIRS_MAX];
static struct test_socket listener;
static struct item *waiting;
static uint64_t carried;
static bool all_accepted;	  /* before, there is no window to be outside of */
static uint8_t aliases[2][2][16]; /* by family: WIRE_PEER and ALIAS */
static uint8_t own[2][16];

static double chance(void)
{
	return rand() / (RAND_MAX + 1.0);
}

static uint32_t any(void)
{
	return (uint32_t)rand() << 17 ^ (uint32_t)rand() << 2 ^ ((uint32_t)rand() & 3);
}

static uint64_t now_us(void)
{
	return virtual_ns / 1000;
}

static void schedule(struct item *item, uint64_t due_us)
{
	struct item **place = &waiting;

	item->due_us = due_us;
	while (*place && (*place)->due_us <= due_us)
		place = &(*place)->next;
	item->next = *place;
	*place = item;
}

static void schedule_frame(const uint8_t *frame, size_t size, uint64_t after_us)
{
	struct item *item = calloc(1, sizeof(*item));

	memcpy(item->frame, frame, size);
	item->size = size;
	schedule(item, now_us() + after_us);
}

/* ---- the wire ---- */

/* A router's word that the frame is too big for its next link. */
static void complain(const uint8_t *frame, bool v6, unsigned mtu)
{
	uint8_t message[8 + 60] = { 0 }, answer[HEADER + 40 + sizeof(message)], router[16];
	size_t quoted = v6 ? 60 : 40;

	inet_pton(v6 ? AF_INET6 : AF_INET, v6 ? "fd00::1" : "198.18.0.1", router);
	message[0] = v6 ? ICMP6_TYPE_PTB : ICMP_DUR;
	message[1] = v6 ? 0 : ICMP_DUR_FRAG;
	message[6] = (uint8_t)(mtu >> 8);
	message[7] = (uint8_t)mtu;
	memcpy(message + 8, frame + HEADER, quoted);
	schedule_frame(answer, wire_icmp(answer, v6, router, message, 8 + quoted),
		       course.delay_us / 2);
}

static void put32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/*
 * The same segment from somebody who knows all of it but the numbers, which are far from the true
 * ones: no connection may mind.
 */
static void forge(const uint8_t *frame, size_t size, bool v6)
{
	uint8_t copy[2048];
	uint8_t *tcp = copy + HEADER + (v6 ? 40 : 20);
	/* Beyond any window, before or behind */
	uint32_t off = (1u << 26) + any() % ((1u << 31) - (1u << 27));

	memcpy(copy, frame, size);
	if (any() & 1)
		off = -off;
	switch (any() % 5) {
	case 0: /* anything, outside the window */
		put32(tcp + 4, get32(tcp + 4) + off);
		tcp[13] = (uint8_t)(any() & 0x3f);
		break;
	case 1: /* acknowledges what never was */
		put32(tcp + 8, get32(tcp + 8) + off);
		tcp[13] = (uint8_t)(ACK | (any() & (PSH | FIN)));
		break;
	case 2: /* a SYN into the connection */
		put32(tcp + 4, get32(tcp + 4) + off);
		tcp[13] = SYN;
		break;
	case 3: /* a reset near by, but not the very number */
		put32(tcp + 4, get32(tcp + 4) + 1000000000u + any() % 1000);
		tcp[13] = RST;
		break;
	default: /* options of all kinds, on numbers that do not fit */
		put32(tcp + 4, get32(tcp + 4) + off);
		for (unsigned i = 20; i < (tcp[12] >> 4) * 4u; i++)
			tcp[i] = (uint8_t)any();
		break;
	}
	schedule_frame(copy, size, course.delay_us / 2 + any() % 1000);
}

/* The same segment from somebody who sees all of it, and whom nothing is sacred. */
static void attack(const uint8_t *frame, size_t size, bool v6)
{
	uint8_t copy[2048];
	uint8_t *tcp = copy + HEADER + (v6 ? 40 : 20);
	static const uint32_t steps[] = { 0,	  1,	 -1u,	  2,	    -2u,      1460,
					  -1460u, 65535, -65535u, 1u << 20, 1u << 31, -4000u };
	const unsigned count = sizeof(steps) / sizeof(steps[0]);
	unsigned header;

	memcpy(copy, frame, size);
	header = (tcp[12] >> 4) * 4u;
	for (unsigned changes = 1 + any() % 3; changes--;) {
		switch (any() % 7) {
		case 0:
			put32(tcp + 4, get32(tcp + 4) + steps[any() % count]);
			break;
		case 1:
			put32(tcp + 8, get32(tcp + 8) + steps[any() % count]);
			break;
		case 2:
			tcp[13] = (uint8_t)(any() & (any() % 8 ? ~(uint32_t)RST : UINT32_MAX));
			break;
		case 3:
			tcp[13] ^= (uint8_t)(1u << any() % 6);
			break;
		case 4: /* the window, and where urgent data end */
			put32(tcp + 14 - any() % 2 * 2, any() & (any() & 1 ? 0 : UINT32_MAX));
			break;
		case 5:
			for (unsigned i = 20; i < header; i++)
				tcp[i] = any() % 3 ? tcp[i] : (uint8_t)any();
			break;
		default: /* more or less of a header, the rest is data */
			tcp[12] = (uint8_t)(any() % 2 ? any() : 0x50);
			break;
		}
	}
	schedule_frame(copy, size, course.delay_us / 2 + any() % 2000);
}

static bool is_too_big(const uint8_t *frame, size_t size, bool v6)
{
	unsigned mtu = course.mtu;
	uint64_t half = (uint64_t)course.pairs * (course.up + course.down) / 2;

	if (course.mtu_late && carried > half)
		mtu = course.mtu_late;
	if (!mtu || size - HEADER <= mtu)
		return false;
	complain(frame, v6, mtu);
	return true;
}

/* Changes the addresses and decides what becomes of the frame. */
static void carry(uint8_t *frame, size_t size)
{
	bool v6 = frame[12] == 0x86;
	size_t length = v6 ? 16 : 4, header = v6 ? 40 : 20;
	uint8_t *from = frame + HEADER + (v6 ? 8 : 12), *to = from + length;
	unsigned copies = 1 + (chance() < course.duplicate);
	unsigned which;

	if (v6 && frame[HEADER + 6] == 58 && frame[HEADER + 40] == 135)
		wire_put_advertisement(frame + HEADER + 48);
	if ((v6 ? frame[HEADER + 6] : frame[HEADER + 9]) != 6 || frame[13] == 6)
		return;
	if (is_too_big(frame, size, v6))
		return;
	which = memcmp(to, aliases[v6][0], length) != 0;
	memcpy(from, aliases[v6][!which], length);
	memcpy(to, own[v6], length);
	memcpy(frame, WIRE_OWN_MAC, 6);
	memcpy(frame + 6, WIRE_PEER_MAC, 6);
	while (course.hostile && chance() < course.forge)
		attack(frame, size, v6);
	while (!course.hostile && all_accepted && chance() < course.forge)
		forge(frame, size, v6);
	if (chance() < course.loss)
		return;
	carried += size - HEADER - header - (frame[HEADER + header + 12] >> 4) * 4u;
	while (copies--)
		schedule_frame(frame, size,
			       course.delay_us + (chance() < course.reorder
							  ? any() % (course.late_us + 1)
							  : 0));
}

/* To the next moment at which something happens, but no further than some milliseconds. */
static void advance(void)
{
	uint64_t now = virtual_ns;
	uint64_t next = timers_deadline(stack);
	uint8_t frame[2048];
	size_t size;

	if (waiting && waiting->due_us * 1000 < next)
		next = waiting->due_us * 1000;
	if (next > now + 10000000)
		next = now + 10000000;
	if (next > now)
		advance_clock(next - now);
	while (waiting && waiting->due_us <= now_us()) {
		struct item *item = waiting;

		waiting = item->next;
		wire_put(item->frame, item->size);
		free(item);
	}
	ops->poll(stack);
	while ((size = wire_get(frame, sizeof(frame))) != 0)
		carry(frame, size);
}

/* ---- the programs ---- */

static uint8_t byte_at(unsigned stream, uint32_t offset)
{
	uint32_t mixed = (offset + stream * 7919u) * 2654435761u;

	return (uint8_t)(mixed >> 24 ^ mixed >> 11);
}

static void send_some(struct end *end, unsigned stream)
{
	static uint8_t data[20000];
	uint32_t size;
	ssize_t done;

	while (end->sent < end->to_send) {
		size = 1 + any() % (any() % 4 ? 100 : sizeof(data));
		if (size > end->to_send - end->sent)
			size = end->to_send - end->sent;
		for (uint32_t i = 0; i < size; i++)
			data[i] = byte_at(stream, end->sent + i);
		if (any() % 100 == 0)
			set(&end->socket, IPPROTO_TCP, TCP_NODELAY, any() & 1);
		done = put(&end->socket, data, size, any() % 8 ? 0 : MSG_MORE);
		if (done <= 0) {
			end->wrong |= done != -EAGAIN;
			return;
		}
		end->sent += (uint32_t)done;
		if (any() % 16 == 0)
			return;
	}
	if (!end->shut) {
		end->shut = true;
		if (course.close_early && !end->to_get) {
			drop(&end->socket);
			end->dropped = end->ended = true;
		} else {
			ops->shutdown(end->socket.handle, SHUT_WR);
		}
	}
}

static void read_some(struct end *end, unsigned stream)
{
	static uint8_t data[30000];
	ssize_t done;

	if (now_us() / 1000 < end->pause_until_ms)
		return;
	while (!end->ended) {
		done = get(&end->socket, data, 1 + any() % sizeof(data), 0);
		if (done < 0) {
			end->wrong |= done != -EAGAIN;
			return;
		}
		if (done == 0) {
			end->ended = true;
			end->wrong |= end->got != end->to_get;
			return;
		}
		for (ssize_t i = 0; i < done; i++)
			end->wrong |= data[i] != byte_at(stream, end->got + (uint32_t)i);
		end->got += (uint32_t)done;
		if (course.pause_ms && any() % 8 == 0) {
			end->pause_until_ms = now_us() / 1000 + any() % course.pause_ms;
			return;
		}
	}
}

/* Which of the clients it is says the first byte of its stream: its port, which the peer sees. */
static void accept_all(void)
{
	struct test_socket accepted;

	while (accept_one(&listener, &accepted)) {
		struct sockaddr_storage name, other;

		ops->name(accepted.handle, true, &name);
		for (unsigned i = 0; i < course.pairs; i++) {
			struct pair *pair = &pairs[i];

			if (!accepted.handle || pair->accepted || !pair->ends[0].socket.handle)
				continue;
			ops->name(pair->ends[0].socket.handle, false, &other);
			if (((struct sockaddr_in *)&name)->sin_port !=
			    ((struct sockaddr_in *)&other)->sin_port)
				continue;
			pair->accepted = true;
			pair->ends[1].socket = accepted;
			ops->set_user(accepted.handle, &pair->ends[1].socket);
			accepted.handle = NULL;
		}
		if (accepted.handle) /* an enemy's */
			drop(&accepted);
	}
}

static bool is_done(const struct end *end)
{
	return end->wrong || (end->ended && end->shut);
}

static bool work(void)
{
	bool all_done = true;

	accept_all();
	all_accepted = true;
	for (unsigned i = 0; i < course.pairs; i++) {
		struct pair *pair = &pairs[i];

		for (unsigned side = 0; side < 2; side++) {
			struct end *end = &pair->ends[side];

			if (end->dropped)
				continue;
			if (!pair->accepted) {
				end->wrong |= side == 0 && (ready(&end->socket) & EPOLLERR);
				all_done = all_accepted = false;
				continue;
			}
			if (!end->wrong)
				send_some(end, i * 2 + side);
			if (!end->wrong && !end->dropped)
				read_some(end, i * 2 + !side);
			if (!end->dropped && end->socket.handle->recovery.pcb &&
			    !scoreboard_check(&end->socket.handle->recovery))
				end->wrong = true;
			all_done &= is_done(end);
		}
	}
	return all_done;
}

static void begin(unsigned i)
{
	struct end *client = &pairs[i].ends[0], *server = &pairs[i].ends[1];

	memset(&pairs[i], 0, sizeof(pairs[i]));
	client->to_send = server->to_get = course.up;
	server->to_send = client->to_get = course.down;
	create(&client->socket, course.v6 ? AF_INET6 : AF_INET);
	if (course.buffer) {
		set(&client->socket, SOL_SOCKET, SO_RCVBUF, (int)course.buffer);
		set(&client->socket, SOL_SOCKET, SO_SNDBUF, (int)course.buffer);
	}
	ops->connect(client->socket.handle, NULL,
		     course.v6 ? address6(WIRE_PEER6, PORT) : address4(WIRE_PEER, PORT));
}

/* What enemies have ended begins anew. */
static void begin_again(void)
{
	for (unsigned i = 0; i < course.pairs; i++) {
		struct end *ends = pairs[i].ends;

		if (!ends[0].wrong && !ends[1].wrong && !(is_done(&ends[0]) && is_done(&ends[1])))
			continue;
		for (unsigned side = 0; side < 2; side++) {
			if (ends[side].socket.handle)
				drop(&ends[side].socket);
		}
		begin(i);
	}
}

static void empty_wire(void)
{
	while (waiting) {
		struct item *item = waiting;

		waiting = item->next;
		free(item);
	}
	wire_clear();
}

static void report(bool done, size_t memory_before)
{
	unsigned wrong = 0, short_of = 0;
	uint64_t after;

	for (unsigned i = 0; i < course.pairs; i++) {
		for (unsigned side = 0; side < 2; side++) {
			struct end *end = &pairs[i].ends[side];

			wrong += end->wrong;
			short_of += !end->dropped && end->got != end->to_get;
			if (!course.hostile && (end->wrong || !is_done(end)))
				printf("# pair %u side %u: %u of %u sent, %u of %u got, error %d, "
				       "ended %d\n",
				       i, side, end->sent, end->to_send, end->got, end->to_get,
				       end->dropped ? 0 : end->socket.handle->error, end->ended);
			if (!end->dropped && end->socket.handle)
				drop(&end->socket);
		}
	}
	if (!course.hostile)
		tap_ok(done && !wrong && !short_of, "%s: every byte comes, and the end",
		       course.name);
	drop(&listener);
	for (after = now_us() + (course.hostile ? 2000000000 : 180000000); now_us() < after;)
		advance();
	empty_wire();
	tap_ok(melin_index_check() == 0 && !stack->index.counts.active &&
		       !stack->index.counts.parked && !stack->index.counts.timewait,
	       "%s: no connection is left: %u %u %u", course.name, stack->index.counts.active,
	       stack->index.counts.parked, stack->index.counts.timewait);
	tap_ok(stack->allocation.used <= memory_before + 4096, "%s: nor memory: %zd bytes",
	       course.name, (ssize_t)(stack->allocation.used - memory_before));
	tap_ok(complaints == 0, "%s: lwIP does not complain", course.name);
}

static void run_course(const struct course *what)
{
	size_t memory_before = stack->allocation.used;
	uint64_t end = now_us() + TIME_MAX_MS * 1000ull;
	bool done = false;

	course = *what;
	carried = 0;
	all_accepted = false;
	create(&listener, course.v6 ? AF_INET6 : AF_INET);
	if (course.buffer) {
		set(&listener, SOL_SOCKET, SO_RCVBUF, (int)course.buffer);
		set(&listener, SOL_SOCKET, SO_SNDBUF, (int)course.buffer);
	}
	ops->listen(listener.handle,
		    course.v6 ? address6(WIRE_OWN6, PORT) : address4(WIRE_OWN, PORT), 16);
	for (unsigned i = 0; i < course.pairs; i++)
		begin(i);
	while ((!done || course.hostile) && now_us() < end) {
		advance();
		done = work();
		if (course.hostile)
			begin_again();
		if (course.hostile && now_us() > end - (TIME_MAX_MS - HOSTILE_MS) * 1000ull)
			break;
	}
	report(done, memory_before);
}

static const struct course courses[] = {
	{ .name = "a good way", .delay_us = 100, .pairs = 4, .up = 500000, .down = 500000 },
	{ .name = "3 % of each",
	  .loss = .03,
	  .duplicate = .03,
	  .reorder = .03,
	  .delay_us = 500,
	  .late_us = 3000,
	  .pairs = 4,
	  .up = 300000,
	  .down = 300000 },
	{ .name = "15 % of each",
	  .loss = .15,
	  .duplicate = .15,
	  .reorder = .15,
	  .delay_us = 2000,
	  .late_us = 30000,
	  .pairs = 4,
	  .up = 60000,
	  .down = 60000 },
	{ .name = "small buffers and slow readers",
	  .loss = .03,
	  .duplicate = .03,
	  .reorder = .03,
	  .delay_us = 500,
	  .late_us = 3000,
	  .pairs = 4,
	  .up = 100000,
	  .down = 100000,
	  .buffer = 3000,
	  .pause_ms = 400 },
	{ .name = "very slow readers",
	  .loss = .05,
	  .delay_us = 500,
	  .pairs = 2,
	  .up = 100000,
	  .buffer = 5000,
	  .pause_ms = 60000 },
	{ .name = "closed with data to send",
	  .loss = .1,
	  .duplicate = .05,
	  .reorder = .05,
	  .delay_us = 1000,
	  .late_us = 5000,
	  .pairs = 8,
	  .up = 50000,
	  .close_early = true },
	{ .name = "half closed",
	  .loss = .1,
	  .duplicate = .05,
	  .reorder = .05,
	  .delay_us = 1000,
	  .late_us = 5000,
	  .pairs = 8,
	  .up = 100,
	  .down = 100000 },
	{ .name = "the MTU becomes smaller twice",
	  .loss = .02,
	  .reorder = .02,
	  .delay_us = 500,
	  .late_us = 2000,
	  .pairs = 4,
	  .up = 300000,
	  .down = 300000,
	  .mtu = 1400,
	  .mtu_late = 1000 },
	{ .name = "the MTU becomes smaller twice, IPv6",
	  .loss = .02,
	  .reorder = .02,
	  .delay_us = 500,
	  .late_us = 2000,
	  .pairs = 4,
	  .up = 300000,
	  .down = 300000,
	  .mtu = 1400,
	  .mtu_late = 1280,
	  .v6 = true },
	{ .name = "strangers",
	  .loss = .01,
	  .forge = .5,
	  .delay_us = 500,
	  .pairs = 4,
	  .up = 300000,
	  .down = 300000 },
	{ .name = "enemies",
	  .loss = .01,
	  .duplicate = .01,
	  .reorder = .05,
	  .forge = .3,
	  .delay_us = 500,
	  .late_us = 2000,
	  .pairs = 8,
	  .up = 1000000,
	  .down = 1000000,
	  .buffer = 20000,
	  .pause_ms = 20,
	  .hostile = true },
	{ .name = "enemies and large buffers",
	  .loss = .05,
	  .reorder = .2,
	  .forge = .1,
	  .delay_us = 500,
	  .late_us = 20000,
	  .pairs = 4,
	  .up = 3000000,
	  .down = 3000000,
	  .hostile = true },
	{ .name = "enemies, IPv6",
	  .loss = .1,
	  .forge = .1,
	  .delay_us = 500,
	  .pairs = 8,
	  .up = 1000000,
	  .down = 1000000,
	  .mtu = 1400,
	  .mtu_late = 1300,
	  .hostile = true,
	  .v6 = true },
	{ .name = "strangers on a bad way, IPv6",
	  .loss = .05,
	  .duplicate = .05,
	  .reorder = .05,
	  .forge = .3,
	  .delay_us = 500,
	  .late_us = 5000,
	  .pairs = 4,
	  .up = 100000,
	  .down = 100000,
	  .buffer = 20000,
	  .pause_ms = 100,
	  .v6 = true },
};

static void run_tests(void)
{
	const char *seed = getenv("TEST_SEED"), *only = getenv("TEST_COURSE");

	open_wire();
	inet_pton(AF_INET, WIRE_PEER, aliases[0][0]);
	inet_pton(AF_INET, ALIAS, aliases[0][1]);
	inet_pton(AF_INET6, WIRE_PEER6, aliases[1][0]);
	inet_pton(AF_INET6, ALIAS6, aliases[1][1]);
	inet_pton(AF_INET, WIRE_OWN, own[0]);
	inet_pton(AF_INET6, WIRE_OWN6, own[1]);
	srand(seed ? (unsigned)atoi(seed) : 1);
	for (size_t i = 0; i < sizeof(courses) / sizeof(courses[0]); i++) {
		if (!only || strstr(courses[i].name, only))
			run_course(&courses[i]);
	}
	ops->close(stack, 0, &(struct stack_counters){ 0 });
}

int main(void)
{
	return run_at_each_start(run_tests);
}
