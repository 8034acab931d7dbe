/* SPDX-License-Identifier: BSD-3-Clause */
/* See capture.h. */
#include "stack/ip/capture.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lwip/pbuf.h"

#include "stack/instance_parts.h"

static void end(struct stack *stack, enum capture_state state)
{
	struct capture *capture = &stack->capture;

	if (!capture->below)
		return;
	stack->link = capture->below;
	capture->below = NULL;
	atomic_store_explicit(&capture->ring->state, state, memory_order_release);
}

/* The reader was killed, or stopped: without it nobody would ever end the capture. */
static bool is_left_alone(struct stack *stack, struct capture *capture)
{
	const uint32_t alive = atomic_load_explicit(&capture->ring->alive, memory_order_relaxed);
	const uint64_t now = clock_read(&stack->clock);

	if (alive != capture->alive) {
		capture->alive = alive;
		capture->alive_time = now;
	}
	return now - capture->alive_time > CAPTURE_PATIENCE_MS * UINT64_C(1000000);
}

static bool has_room(const struct capture *capture, uint64_t size)
{
	/* Pairs with the reader's release: what it has read may be written over. */
	const uint64_t tail = atomic_load_explicit(&capture->ring->tail, memory_order_acquire);
	const uint64_t used = capture->head - tail;

	return used <= CAPTURE_RING_SIZE && size <= CAPTURE_RING_SIZE - used;
}

static void put(struct capture *capture, const struct capture_head *head, const struct pbuf *frame)
{
	uint64_t position = capture->head;
	uint32_t left = head->captured;

	capture_put(capture->ring, position, head, sizeof(*head));
	position += sizeof(*head);
	for (; frame && left; frame = frame->next) {
		const uint32_t part = frame->len < left ? frame->len : left;

		capture_put(capture->ring, position, frame->payload, part);
		position += part;
		left -= part;
	}
	capture->head = capture_round(position);
	/* Pairs with the reader's acquire: it sees the whole frame. */
	atomic_store_explicit(&capture->ring->head, capture->head, memory_order_release);
}

static void note(struct stack *stack, const struct pbuf *frame, bool sent, unsigned interface)
{
	struct capture *capture = &stack->capture;
	uint32_t snap = atomic_load_explicit(&capture->ring->snap_length, memory_order_relaxed);
	struct capture_head head = { .lost = capture->lost,
				     .length = frame->tot_len,
				     .sent = sent,
				     .interface = interface };
	struct timespec now = { 0 };

	if (snap > CAPTURE_FRAME_MAX)
		snap = CAPTURE_FRAME_MAX;
	head.captured = head.length < snap ? head.length : snap;
	if (!has_room(capture, capture_round(sizeof(head) + head.captured))) {
		atomic_store_explicit(&capture->ring->lost, ++capture->lost, memory_order_relaxed);
		if (is_left_alone(stack, capture))
			end(stack, CAPTURE_LEFT_ALONE);
		return;
	}
	stack->clock.read(CLOCK_REALTIME, &now);
	head.time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	put(capture, &head, frame);
}

/* ---- the link: the instance that it belongs to is the current one ---- */

static struct link *below(struct link *link)
{
	return ((struct capture *)link)->below;
}

static void close_link(struct link *link)
{
	struct link *device = below(link);

	end(melin_instance, CAPTURE_NONE);
	device->operations->close(device);
}

static void leave(struct link *link)
{
	below(link)->operations->leave(below(link));
}

/* In the child of fork(): the ring is the parent's, and will soon not be mapped any more. */
static void abandon(struct link *link)
{
	below(link)->operations->abandon(below(link));
}

static unsigned receive(struct link *link, struct pbuf **frames, unsigned max)
{
	const unsigned count = below(link)->operations->receive(below(link), frames, max);

	for (unsigned i = 0; i < count && below(link); i++)
		note(melin_instance, frames[i], false, 0);
	return count;
}

/*
 * A frame is captured after the device has taken it: one for which the device has no room is sent
 * again, and captured then.
 */
static int transmit(struct link *link, struct pbuf *frame)
{
	const int status = below(link)->operations->transmit(below(link), frame);

	if (status == 0)
		note(melin_instance, frame, true, 0);
	return status;
}

static int transmit_by(struct link *link, struct pbuf *frame, unsigned interface)
{
	const int status = below(link)->operations->transmit_by(below(link), frame, interface);

	if (status == 0)
		note(melin_instance, frame, true, interface);
	return status;
}

static unsigned flush(struct link *link)
{
	return below(link)->operations->flush(below(link));
}

static void counters(struct link *link, struct link_counters *counts)
{
	below(link)->operations->counters(below(link), counts);
}

static enum link_news attend(struct link *link, struct link_info *info)
{
	return below(link)->operations->attend(below(link), info);
}

static bool has_way(struct link *link, const struct sockaddr *local, const struct sockaddr *remote)
{
	return below(link)->operations->has_way(below(link), local, remote);
}

static int renew(struct link *link, int tap)
{
	return below(link)->operations->renew(below(link), tap);
}

/* An operation that the device's link does not have this one does not have either. */
static struct link_operations operations_on(const struct link_operations *device)
{
	return (struct link_operations){
		.close = close_link,
		.leave = device->leave ? leave : NULL,
		.abandon = abandon,
		.receive = receive,
		.transmit = transmit,
		.transmit_by = device->transmit_by ? transmit_by : NULL,
		.flush = flush,
		.counters = counters,
		.attend = device->attend ? attend : NULL,
		.renew = device->renew ? renew : NULL,
		.has_way = device->has_way ? has_way : NULL,
	};
}

int capture_set(struct stack *stack, struct capture_ring *ring)
{
	struct capture *capture = &stack->capture;

	end(stack, CAPTURE_NONE);
	if (!ring)
		return 0;
	if (!stack->link)
		return -ENODEV;
	*capture = (struct capture){
		.below = stack->link,
		.operations = operations_on(stack->link->operations),
		.ring = ring,
		.alive = atomic_load(&ring->alive),
		.alive_time = clock_read(&stack->clock),
	};
	capture->link.operations = &capture->operations;
	atomic_store(&ring->tail, 0);
	atomic_store(&ring->head, 0);
	atomic_store(&ring->lost, 0);
	atomic_store(&ring->state, CAPTURE_RUNS);
	stack->link = &capture->link;
	return 0;
}
