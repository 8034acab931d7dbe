/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of a port of DPDK's in bursts: taken from each queue in turn, and handed over as the
 * device takes them; what it does not take at once is kept here. Frames that gso.c takes go its
 * way. Not for what is in a frame: frame_receive.c, frame_transmit.c.
 */
#include <errno.h>
#include <string.h>

#include "dpdk/eal/memif_guard.h"
#include "dpdk/device_link.h"
#include "dpdk/frames/gso.h"
#include "dpdk/port/port.h"
#include "dpdk/frames/frame_receive.h"
#include "dpdk/frames/frame_transmit.h"

/* So many frames are handed over without waiting for flush(): as many as a system call sends. */
#define TRANSMIT_BATCH 32

/* ---- receiving ---- */

static unsigned receive_burst(struct device_link *link, uint16_t queue, struct pbuf **frames,
			      unsigned max)
{
	struct rte_mbuf *mbufs[BURST];
	unsigned taken = 0;
	uint16_t count, i;

	if (link->is_guarded)
		memif_guard_enter();
	count = rte_eth_rx_burst(link->port, queue, mbufs, (uint16_t)(max < BURST ? max : BURST));
	if (link->is_guarded)
		memif_guard_leave();
	for (i = 0; i < count; i++) {
		if (i + 1 < count)
			__builtin_prefetch(rte_pktmbuf_mtod(mbufs[i + 1], void *));
		frames[taken] = receive_take(link, mbufs[i]);
		if (frames[taken])
			taken++;
	}
	return taken;
}

unsigned port_receive(struct device_link *link, struct pbuf **frames, unsigned max)
{
	unsigned taken = 0;
	uint16_t i;

	for (i = 0; i < link->queues && taken < max; i++) {
		taken += receive_burst(link, link->next_queue, frames + taken, max - taken);
		if (++link->next_queue == link->queues)
			link->next_queue = 0;
	}
	return taken;
}

uint64_t port_drops(const struct device_link *link)
{
	struct rte_eth_stats stats;

	return rte_eth_stats_get(link->port, &stats) == 0 ? stats.imissed + stats.rx_nombuf : 0;
}

/* ---- sending ---- */

/* Some drivers have more to do with frames whose checksum they finish, or refuse them. */
static uint16_t prepare(struct device_link *link, uint16_t count)
{
	uint16_t good;

	if (!link->tx_offloads)
		return count;
	good = rte_eth_tx_prepare(link->port, 0, link->queue, count);
	if (good == 0 && count) {
		/* The first one is refused, and would be for ever. */
		transmit_give_up(link, link->queue[0], 0);
		link->queued--;
		memmove(link->queue, link->queue + 1, link->queued * sizeof(link->queue[0]));
	}
	return good;
}

/* Counted before the burst: afterwards the buffers are the device's. */
static uint64_t bytes_of(struct rte_mbuf *const *mbufs, unsigned count)
{
	uint64_t bytes = 0;

	while (count--)
		bytes += mbufs[count]->pkt_len;
	return bytes;
}

static unsigned flush_queue(struct device_link *link)
{
	while (link->queued) {
		uint16_t count = prepare(link, (uint16_t)link->queued), sent;
		uint64_t bytes = bytes_of(link->queue, count);

		if (link->is_guarded)
			memif_guard_enter();
		sent = rte_eth_tx_burst(link->port, 0, link->queue, count);
		if (link->is_guarded)
			memif_guard_leave();
		if (sent == 0)
			break;
		/* Those that were not taken are few and still ours. */
		link->counters.tx_frames += sent;
		link->counters.tx_bytes += bytes - bytes_of(link->queue + sent, count - sent);
		link->queued -= sent;
		memmove(link->queue, link->queue + sent, link->queued * sizeof(link->queue[0]));
	}
	return link->queued;
}

static int transmit_alone(struct device_link *link, struct pbuf *frame)
{
	struct rte_mbuf *mbuf;

	if (link->queued == TRANSMIT_QUEUE_MAX && flush_queue(link) == TRANSMIT_QUEUE_MAX)
		return transmit_give_up(link, NULL, -ENOBUFS);
	mbuf = rte_pktmbuf_alloc(link->pool);
	if (!mbuf)
		return transmit_give_up(link, NULL, -ENOBUFS);
	if (!transmit_fill(link, mbuf, frame))
		return transmit_give_up(link, mbuf, -EMSGSIZE);
	link->queue[link->queued++] = mbuf;
	if (link->queued % TRANSMIT_BATCH == 0)
		flush_queue(link);
	return 0;
}

int port_transmit(struct device_link *link, struct pbuf *frame)
{
	bool send_first = false;

	if (link->gso && transmit_fits(link, frame)) {
		if (gso_take(link->gso, frame, 0, &send_first))
			return 0;
		if (send_first) {
			flush_queue(link);
			if (transmit_gso(link))
				return transmit_give_up(link, NULL, -ENOBUFS);
		}
	}
	return transmit_alone(link, frame);
}

/* What is queued was made before what gso.c has gathered: it goes first. */
unsigned port_flush(struct device_link *link)
{
	unsigned queued = flush_queue(link);

	return queued + (link->gso ? transmit_gso(link) : 0);
}
