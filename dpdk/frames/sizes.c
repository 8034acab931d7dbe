/* SPDX-License-Identifier: BSD-3-Clause */
/* See sizes.h. */
#include "dpdk/frames/sizes.h"

#include <net/ethernet.h>
#include <rte_mempool.h>

#include "dpdk/frames/buffer.h"

#define VLAN_TAG_LENGTH 4

/* What the kernel keeps free in front of a frame in an AF_XDP chunk (XDP_PACKET_HEADROOM). */
#define XDP_HEADROOM 256

/* What the driver puts into the fill ring, whatever the number of descriptors is. */
#define XDP_FILL 2048

/* The kernel takes no smaller chunk (XDP_UMEM_MIN_CHUNK_SIZE), which is a buffer with headers. */
#define XDP_CHUNK_MIN 2048

/* Network cards cut buffer sizes down to a multiple of this. */
#define CARD_GRANULE 1024

/*
 * How many received frames may be out at a time: a connection whose reader is slow keeps up to a
 * window of them. A reader that keeps up has 32 (about 46 KB); the others share the rest, and then
 * get copies.
 */
#define HOLD_PER_CONNECTION 32
#define HOLD_MIN	    1024
#define HOLD_MAX	    16384
#define HOLD_TIGHT	    64 /* below this every burst would be copied */

/* The pool's header of a buffer, and the mbuf; both are cache lines. */
#define HEADERS                                                                                    \
	(RTE_CACHE_LINE_ROUNDUP(sizeof(struct rte_mempool_objhdr)) + sizeof(struct rte_mbuf))

/* What of an AF_XDP chunk is not for the frame and the kernel's headroom. */
#define XDP_HEADERS ((unsigned)HEADERS + BUFFER_PRIVATE + RTE_PKTMBUF_HEADROOM)

/* What alignment may add to a buffer, and spreading over memory channels for network cards. */
#define PADDING 128

static unsigned clamp(unsigned value, unsigned low, unsigned high)
{
	return value < low ? low : value > high ? high : value;
}

static unsigned frame_length(unsigned mtu)
{
	return mtu + ETHER_HDR_LEN + VLAN_TAG_LENGTH + ETHER_CRC_LEN;
}

void pool_size(const struct pool_need *need, struct pool_size *size)
{
	unsigned fill = need->xdp && need->rxd < XDP_FILL ? XDP_FILL : need->rxd;
	unsigned device = need->queues * (fill + need->txd) + TRANSMIT_QUEUE_MAX;
	unsigned hold = clamp(need->connections * HOLD_PER_CONNECTION, HOLD_MIN, HOLD_MAX);
	unsigned data = frame_length(need->mtu);

	size->raised = need->mbufs && need->mbufs < device + HOLD_TIGHT;
	if (size->raised)
		hold = HOLD_TIGHT;
	else if (need->mbufs)
		hold = need->mbufs - device;
	size->mbufs = device + hold;
	size->hold_limit = hold;

	if (need->xdp)
		data += XDP_HEADROOM;
	else
		data = (data + CARD_GRANULE - 1) / CARD_GRANULE * CARD_GRANULE;
	if (!need->xdp && data < RTE_MBUF_DEFAULT_DATAROOM)
		data = RTE_MBUF_DEFAULT_DATAROOM;
	if (need->xdp && XDP_HEADERS + data < XDP_CHUNK_MIN)
		data = XDP_CHUNK_MIN - XDP_HEADERS;
	size->data_room = RTE_PKTMBUF_HEADROOM + data;
	size->memory = (size_t)size->mbufs * (size->data_room + BUFFER_PRIVATE + HEADERS + PADDING);
}

unsigned xdp_mtu_max(unsigned page_size)
{
	/* A chunk is a whole buffer with its headers, and at most a page. */
	return page_size - XDP_HEADERS - XDP_HEADROOM - frame_length(0);
}
