/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A path in virtual time between the stack and a peer: it has a rate, a queue and a delay, and
 * loses, repeats and reorders. The peer at its other end takes data as an honest receiver does: it
 * acknowledges every second segment, at once what is out of order, with SACK (RFC 2018) and D-SACK
 * (RFC 2883).
 */
#ifndef MELIN_TEST_IMPAIRMENT_H
#define MELIN_TEST_IMPAIRMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/socket/socket.h"
#include "stack/events/timers.h"
#include "tests/unit/stack/peer.h"

/* Of a gigabit a second */
struct impairment {
	double loss, duplicate, reorder; /* of data: 0 to 1 */
	double loss_back;		 /* of acknowledgements */
	uint32_t delay_us;		 /* one way; 0: 500 */
	uint32_t late_us;		 /* how much longer what is reordered takes; 0: 2,000 */
	uint32_t queue_bytes;		 /* 0: a million */
};

struct transfer {
	uint64_t us;	     /* how long it took */
	unsigned segments;   /* with data that the stack has sent */
	unsigned lost;	     /* of them, by the path */
	unsigned longest_us; /* without anything new at the peer */
	bool whole;	     /* all has arrived, and in its time */
	bool balanced;	     /* the scoreboard's sums were always right */
};

#define RANGES_MAX	  4096
#define FRAME_EXTRA	  54 /* Ethernet, IP, TCP */
#define DELAYED_ANSWER_US 40000
#define MEGABITS	  1000
#define TIME_MAX_US	  300000000 /* no transfer of the tests takes so long */

/* What is under way: data to the peer, or an acknowledgement to the stack. */
struct under_way {
	struct under_way *next;
	uint64_t due_us;
	bool is_data;
	uint32_t seq, size; /* of data */
	struct segment answer;
	uint32_t options[9];
};

/* [left, right) that the peer has received out of order, and what it last told of. */
struct range {
	uint32_t left, right;
};

static struct impairment current;
static struct peer peer;
static struct under_way *waiting;
static uint64_t link_free_us;
static struct range ranges[RANGES_MAX];
static unsigned range_count;
static unsigned unacknowledged;
static uint64_t answer_due_us; /* when unacknowledged */
static uint32_t received;      /* the peer's RCV.NXT */
static bool peer_has_sack;

static double chance(void)
{
	return rand() / (RAND_MAX + 1.0);
}

static uint64_t now_us(void)
{
	return virtual_ns / 1000;
}

static void schedule(struct under_way *item, uint64_t due_us)
{
	struct under_way **place = &waiting;

	item->due_us = due_us;
	while (*place && (*place)->due_us <= due_us)
		place = &(*place)->next;
	item->next = *place;
	*place = item;
}

/* ---- the peer ---- */

static void answer(const struct range *duplicate)
{
	struct under_way *item;
	unsigned blocks = 0;

	unacknowledged = 0;
	if (chance() < current.loss_back)
		return;
	item = calloc(1, sizeof(*item));
	item->answer = (struct segment){
		.from = peer.port,
		.to = peer.stack_port,
		.seq = peer.seq,
		.ack = received,
		.flags = ACK,
	};
	if (duplicate && peer_has_sack) {
		item->options[1] = htonl(duplicate->left);
		item->options[2] = htonl(duplicate->right);
		blocks++;
	}
	for (unsigned i = 0; i < range_count && blocks < 4 && peer_has_sack; i++, blocks++) {
		item->options[1 + 2 * blocks] = htonl(ranges[i].left);
		item->options[2 + 2 * blocks] = htonl(ranges[i].right);
	}
	item->options[0] = htonl(0x01010500 | (2 + 8 * blocks));
	item->answer.option_size = blocks ? 4 + 8 * blocks : 0;
	schedule(item, now_us() + current.delay_us);
}

static void remove_range(unsigned i)
{
	range_count--;
	memmove(ranges + i, ranges + i + 1, (range_count - i) * sizeof(ranges[0]));
}

/* Puts it in front of the others, with those that it touches. False: it is there already. */
static bool add_range(struct range range)
{
	for (unsigned i = 0; i < range_count; i++) {
		if ((int32_t)(range.left - ranges[i].left) >= 0 &&
		    (int32_t)(ranges[i].right - range.right) >= 0)
			return false;
	}
	for (unsigned i = 0; i < range_count;) {
		if ((int32_t)(ranges[i].left - range.right) > 0 ||
		    (int32_t)(range.left - ranges[i].right) > 0) {
			i++;
			continue;
		}
		if ((int32_t)(ranges[i].left - range.left) < 0)
			range.left = ranges[i].left;
		if ((int32_t)(ranges[i].right - range.right) > 0)
			range.right = ranges[i].right;
		remove_range(i);
	}
	if (range_count == RANGES_MAX)
		remove_range(RANGES_MAX - 1);
	memmove(ranges + 1, ranges, range_count * sizeof(ranges[0]));
	ranges[0] = range;
	range_count++;
	return true;
}

static void receive(uint32_t seq, uint32_t size)
{
	struct range range = { seq, seq + size };
	bool gap = range_count > 0;

	if ((int32_t)(range.right - received) <= 0) {
		answer(&range);
		return;
	}
	if ((int32_t)(seq - received) > 0) {
		answer(add_range(range) ? NULL : &range);
		return;
	}
	received = range.right;
	for (unsigned i = 0; i < range_count;) {
		if ((int32_t)(ranges[i].left - received) > 0) {
			i++;
			continue;
		}
		if ((int32_t)(ranges[i].right - received) > 0)
			received = ranges[i].right;
		remove_range(i);
		i = 0;
	}
	answer_due_us = now_us() + DELAYED_ANSWER_US;
	if (gap || ++unacknowledged >= 2)
		answer(NULL);
}

/* ---- the way there ---- */

static void carry(const struct segment *segment, struct transfer *result)
{
	uint64_t now = now_us();
	uint64_t start = link_free_us > now ? link_free_us : now;
	uint64_t queued = (start - now) * MEGABITS / 8;
	unsigned copies = chance() < current.duplicate ? 2 : 1;
	uint32_t late = chance() < current.reorder ? current.late_us : 0;

	result->segments++;
	if (chance() < current.loss || queued > current.queue_bytes) {
		result->lost++;
		return;
	}
	link_free_us = start + (segment->size + FRAME_EXTRA) * 8 / MEGABITS;
	while (copies--) {
		struct under_way *item = calloc(1, sizeof(*item));

		item->is_data = true;
		item->seq = segment->seq;
		item->size = (uint32_t)segment->size;
		schedule(item, link_free_us + current.delay_us + late);
	}
}

static void arrive(struct under_way *item)
{
	if (item->is_data) {
		receive(item->seq, item->size);
	} else {
		item->answer.options = item->options;
		wire_put_segment(&item->answer);
	}
	free(item);
}

/* ---- a transfer ---- */

/* To the next moment at which something happens. */
static void advance(void)
{
	uint64_t now = virtual_ns;
	uint64_t next = timers_deadline(stack);

	if (unacknowledged && answer_due_us * 1000 < next)
		next = answer_due_us * 1000;
	if (waiting && waiting->due_us * 1000 < next)
		next = waiting->due_us * 1000;
	if (next > now)
		advance_clock(next - now);
	while (waiting && waiting->due_us <= now_us()) {
		struct under_way *item = waiting;

		waiting = item->next;
		arrive(item);
	}
	if (unacknowledged && answer_due_us <= now_us())
		answer(NULL);
	ops->poll(stack);
}

static void connect_over_path(struct test_socket *socket, uint16_t port)
{
	struct segment syn;

	range_count = unacknowledged = 0;
	link_free_us = 0;
	syn_has_sack = peer_has_sack;
	wire_clear();
	create(socket, AF_INET);
	ops->connect(socket->handle, NULL, address4(WIRE_PEER, port));
	ops->poll(stack); /* the answer to ARP */
	if (!wire_get_segment(&syn)) {
		printf("Bail out! no SYN\n");
		exit(1);
	}
	peer = (struct peer){
		.port = port, .stack_port = syn.from, .seq = first_sequence, .ack = syn.seq + 1
	};
	advance_clock(current.delay_us * 2000ull);
	say(&peer, SYN | ACK, NULL, 0);
	wire_clear();
	syn_has_sack = true;
	received = peer.ack;
}

/* Sends bytes over a new connection to the peer's port; sack: the peer can. */
static struct transfer impairment_send(const struct impairment *over, uint64_t bytes, uint16_t port,
				       bool sack)
{
	static char data[65536];
	struct transfer result = { .balanced = true };
	struct test_socket socket;
	struct segment segment;
	uint64_t start, last, sent = 0;
	uint32_t before;

	current = *over;
	current.delay_us = current.delay_us ? current.delay_us : 500;
	current.late_us = current.late_us ? current.late_us : 2000;
	current.queue_bytes = current.queue_bytes ? current.queue_bytes : 1000000;
	peer_has_sack = sack;
	connect_over_path(&socket, port);
	start = last = now_us();
	before = received;
	while ((sent < bytes || ops->unsent(socket.handle)) && now_us() - start < TIME_MAX_US) {
		while (sent < bytes) {
			uint64_t part = bytes - sent < sizeof(data) ? bytes - sent : sizeof(data);
			ssize_t status = put(&socket, data, part, 0);

			if (status <= 0)
				break;
			sent += (uint64_t)status;
		}
		while (wire_get_segment(&segment))
			if (segment.size)
				carry(&segment, &result);
		advance();
		if (socket.handle->recovery.pcb)
			result.balanced &= scoreboard_check(&socket.handle->recovery);
		if (received != before) {
			if (now_us() - last > result.longest_us)
				result.longest_us = (unsigned)(now_us() - last);
			last = now_us();
			before = received;
		}
		if (ready(&socket) & EPOLLERR)
			break;
	}
	result.us = now_us() - start;
	result.whole = sent == bytes && !ops->unsent(socket.handle);
	result.balanced &= !socket.handle->recovery.scoreboard.sacked &&
			   !socket.handle->recovery.scoreboard.lost;
	while (waiting) {
		struct under_way *item = waiting;

		waiting = item->next;
		free(item);
	}
	say(&peer, RST | ACK, NULL, 0);
	drop(&socket);
	wire_clear();
	return result;
}

#endif
