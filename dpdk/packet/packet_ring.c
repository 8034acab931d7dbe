/* SPDX-License-Identifier: BSD-3-Clause */
/* See packet_ring.h. */
#include "dpdk/packet/packet_ring.h"

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "dpdk/device_link.h"
#include "dpdk/frames/frame_receive.h"
#include "dpdk/frames/pool.h"
#include "dpdk/packet/packet_receive.h"
#include "common/shared_memory.h"
#include "common/system_call.h"

/*
 * A slot has room for requests or an acknowledgement: some 870 bytes of data behind the kernel's
 * description of the frame (tpacket2_hdr and sockaddr_ll) and the frame's headers. There are as
 * many slots as connections that may ask at the same time. Both together, 4 MB, are the process's
 * for as long as the stack runs.
 */
#define SLOT_BYTES 1024
#define SLOTS	   4096

/* What the kernel allocates in one piece; where it has none it takes single pages. */
#define BLOCK_BYTES (64 * 1024)

struct packet_ring {
	uint8_t *memory;
	unsigned next; /* the slot that the next frame comes to */
};

/* PACKET_COPY_THRESH: a frame that is longer than a slot goes to the socket's queue as well. */
static bool ask_for_ring(int socket)
{
	const struct tpacket_req request = { .tp_block_size = BLOCK_BYTES,
					     .tp_block_nr = SLOTS * SLOT_BYTES / BLOCK_BYTES,
					     .tp_frame_size = SLOT_BYTES,
					     .tp_frame_nr = SLOTS };

	return kernel_set_int(socket, SOL_PACKET, PACKET_VERSION, TPACKET_V2) == 0 &&
	       kernel_set_int(socket, SOL_PACKET, PACKET_COPY_THRESH, 1) == 0 &&
	       setsockopt(socket, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) == 0;
}

static void give_ring_back(int socket)
{
	const struct tpacket_req none = { 0 };

	setsockopt(socket, SOL_PACKET, PACKET_RX_RING, &none, sizeof(none));
}

void packet_ring_open(struct device_link *link)
{
	const int socket = packet_wait_descriptor(link);
	struct packet_ring *ring = calloc(1, sizeof(*ring));

	if (ring && ask_for_ring(socket)) {
		ring->memory = shared_memory_map(socket, 0, (size_t)SLOTS * SLOT_BYTES,
						 PROT_READ | PROT_WRITE);
		if (ring->memory) {
			link->ring = ring;
			return;
		}
		give_ring_back(socket);
	}
	free(ring);
}

void packet_ring_abandon(struct device_link *link)
{
	free(link->ring);
	link->ring = NULL;
}

void packet_ring_close(struct device_link *link)
{
	if (link->ring)
		munmap(link->ring->memory, (size_t)SLOTS * SLOT_BYTES);
	packet_ring_abandon(link);
}

/* ---- receiving ---- */

static struct tpacket2_hdr *slot_at(const struct packet_ring *ring, unsigned distance)
{
	return (void *)(ring->memory + (size_t)((ring->next + distance) % SLOTS) * SLOT_BYTES);
}

/* Pairs with the kernel's barrier between writing the frame and writing the status. */
static uint32_t status_of(const struct tpacket2_hdr *slot)
{
	return __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);
}

/* Gives the first slots, whose frames have been read, back to the kernel. */
static void release(struct packet_ring *ring, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		__atomic_store_n(&slot_at(ring, i)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	ring->next = (ring->next + count) % SLOTS;
}

/* Copies the frame of a slot into a buffer. NULL: the frame is lost. */
static struct pbuf *take_short(struct device_link *link, const struct tpacket2_hdr *slot)
{
	const uint8_t *bytes = (const uint8_t *)slot + slot->tp_mac;
	const struct virtio_net_hdr *offload = (const void *)(bytes - sizeof(*offload));
	struct rte_mbuf *mbuf;

	/*
	 * The frame has been shortened: it was too long, and the socket's queue had no room for it.
	 */
	if (slot->tp_snaplen != slot->tp_len) {
		packet_count_missed(link);
		return NULL;
	}
	if (pool_take(link, &mbuf, 1) < 0) {
		link->counters.rx_drops++;
		link->counters.rx_drops_memory++;
		return NULL;
	}
	memcpy(rte_pktmbuf_mtod(mbuf, void *), bytes, slot->tp_len);
	mbuf->data_len = (uint16_t)slot->tp_len;
	mbuf->pkt_len = slot->tp_len;
	packet_mark_checksum(mbuf, offload);
	return receive_take(link, mbuf);
}

/* How many slots in a row have frames that are in the socket's queue, up to max. */
static unsigned count_long(const struct packet_ring *ring, unsigned max)
{
	unsigned count = 0;

	while (count < max && (status_of(slot_at(ring, count)) & TP_STATUS_COPY))
		count++;
	return count;
}

/* Takes all of them with one call. A frame that the kernel has no words for is gone. */
static unsigned take_long(struct device_link *link, struct pbuf **frames, unsigned count)
{
	unsigned received, taken = packet_receive_counted(link, frames, count, &received);

	release(link->ring, received ? received : 1);
	return taken;
}

unsigned packet_ring_receive(struct device_link *link, struct pbuf **frames, unsigned max)
{
	struct packet_ring *ring = link->ring;
	unsigned taken = 0;

	if (!ring)
		return packet_receive(link, frames, max);
	while (taken < max) {
		const struct tpacket2_hdr *slot = slot_at(ring, 0);
		const uint32_t status = status_of(slot);

		if (!(status & TP_STATUS_USER))
			break;
		if (status & TP_STATUS_COPY) {
			taken += take_long(link, frames + taken, count_long(ring, max - taken));
			continue;
		}
		frames[taken] = take_short(link, slot);
		taken += frames[taken] != NULL;
		release(ring, 1);
	}
	return taken;
}
