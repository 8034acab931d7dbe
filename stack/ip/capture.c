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

	if (!capture->device)
		return;
	stack->link->operations = capture->device;
	capture->device = NULL;
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

/* ---- in the place of the device's operations: the instance is the current one ---- */

static void close_link(struct link *link)
{
	end(melin_instance, CAPTURE_NONE);
	link->operations->close(link);
}

static unsigned receive(struct link *link, struct pbuf **frames, unsigned max)
{
	const struct capture *capture = &melin_instance->capture;
	const unsigned count = capture->device->receive(link, frames, max);

	for (unsigned i = 0; i < count && capture->device; i++)
		note(melin_instance, frames[i], false, 0);
	return count;
}

/*
 * A frame is captured after the device has taken it: one for which the device has no room is sent
 * again, and captured then.
 */
static int transmit(struct link *link, struct pbuf *frame)
{
	const int status = melin_instance->capture.device->transmit(link, frame);

	if (status == 0)
		note(melin_instance, frame, true, 0);
	return status;
}

static int transmit_by(struct link *link, struct pbuf *frame, unsigned interface)
{
	const int status = melin_instance->capture.device->transmit_by(link, frame, interface);

	if (status == 0)
		note(melin_instance, frame, true, interface);
	return status;
}

/* In the child of a fork the device's abandon() is called: the ring is the parent's. */
int capture_set(struct stack *stack, struct capture_ring *ring)
{
	struct capture *capture = &stack->capture;

	end(stack, CAPTURE_NONE);
	if (!ring)
		return 0;
	if (!stack->link)
		return -ENODEV;
	*capture = (struct capture){
		.device = stack->link->operations,
		.operations = *stack->link->operations,
		.ring = ring,
		.alive = atomic_load(&ring->alive),
		.alive_time = clock_read(&stack->clock),
	};
	capture->operations.close = close_link;
	capture->operations.receive = receive;
	capture->operations.transmit = transmit;
	capture->operations.transmit_by = transmit_by;
	atomic_store(&ring->tail, 0);
	atomic_store(&ring->head, 0);
	atomic_store(&ring->lost, 0);
	atomic_store(&ring->state, CAPTURE_RUNS);
	stack->link->operations = &capture->operations;
	return 0;
}
