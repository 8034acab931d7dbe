/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/link.h over memory: a frame is copied once, into the other end's ring, as a device's DMA
 * would, and received without a copy. Checksums are left out: the "device" does them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/pbuf.h"

#include "bench/stack/link.h"
#include "dpdk/link.h"

#define SLOTS	  8192 /* more than the windows that the two ends have open at a time */
#define SLOT_SIZE 1600

struct slot {
	struct pbuf_custom pbuf; /* first: lwIP hands a pointer to it back */
	bool busy;
	uint16_t size;
	uint8_t bytes[SLOT_SIZE];
};

struct ring {
	unsigned head, tail;
	struct slot slots[SLOTS];
};

struct ring bench_ring;
static struct ring *peer;
static struct link_counters link_counts;

void bench_set_peer(struct ring *ring)
{
	peer = ring;
}

static void free_slot(struct pbuf *pbuf)
{
	((struct slot *)pbuf)->busy = false;
}

static void memory_close(struct link *link)
{
	(void)link;
}

static void memory_abandon(struct link *link)
{
	(void)link;
}

static unsigned memory_receive(struct link *link, struct pbuf **frames, unsigned max)
{
	struct ring *ring = &bench_ring;
	unsigned count = 0;

	(void)link;
	while (count < max && ring->head != ring->tail) {
		struct slot *slot = &ring->slots[ring->head++ % SLOTS];

		slot->pbuf.custom_free_function = free_slot;
		frames[count++] = pbuf_alloced_custom(PBUF_RAW, slot->size, PBUF_REF, &slot->pbuf,
						      slot->bytes, slot->size);
	}
	link_counts.rx_frames += count;
	return count;
}

static int memory_transmit(struct link *link, struct pbuf *frame)
{
	struct slot *slot = &peer->slots[peer->tail % SLOTS];

	(void)link;
	if (slot->busy || frame->tot_len > SLOT_SIZE)
		return -ENOBUFS;
	slot->busy = true;
	slot->size = pbuf_copy_partial(frame, slot->bytes, frame->tot_len, 0);
	peer->tail++;
	link_counts.tx_frames++;
	return 0;
}

static unsigned memory_flush(struct link *link)
{
	(void)link;
	return 0;
}

static void memory_counters(struct link *link, struct link_counters *counters)
{
	(void)link;
	*counters = link_counts;
}

static const struct link_operations operations = {
	.close = memory_close,
	.abandon = memory_abandon,
	.receive = memory_receive,
	.transmit = memory_transmit,
	.flush = memory_flush,
	.counters = memory_counters,
};

int link_check(const struct stack_config *config, struct reason *reason)
{
	(void)config;
	(void)reason;
	return 0;
}

int link_open(const struct link_config *config, struct link **link, struct link_info *info,
	      struct reason *reason)
{
	static struct link link_of_memory = { .operations = &operations };

	(void)reason;
	/* The last byte of the address makes the hardware's. */
	*info = (struct link_info){ .mac = { 2, 0, 0, 0, 0, config->stack->addresses[0].bytes[3] },
				    .mtu = 1500,
				    .wait_descriptor = -1,
				    .driver = "memory" };
	*link = &link_of_memory;
	return 0;
}
