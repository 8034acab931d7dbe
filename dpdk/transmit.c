/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pbufs to the device: copies each frame into a buffer, finishes its TCP checksum, puts the VLAN
 * tag on, and keeps what the device does not take at once. Frames that large.c takes go its way.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#include <net/ethernet.h>
#include <netinet/in.h>

#include "buffer.h"
#include "frame.h"
#include "guard.h"
#include "journal.h"
#include "large.h"

/* So many are handed over without waiting for link_flush(): as many as a system call sends. */
#define TRANSMIT_BATCH 32

#define TCP_CHECKSUM_OFFSET 16
#define ADDRESSES_LENGTH    (2 * ETHER_ADDR_LEN)

static bool has_offload(const struct link *link, uint64_t offload)
{
	return link->tx_offloads & offload;
}

/* Returns where the frame goes on behind the tag. */
static uint8_t *put_vlan(const struct link *link, struct rte_mbuf *mbuf, uint8_t *bytes)
{
	const uint8_t tag[FRAME_VLAN_LENGTH] = { ETHERTYPE_VLAN >> 8, ETHERTYPE_VLAN & 0xff,
						 (uint8_t)(link->stack.vlan >> 8),
						 (uint8_t)link->stack.vlan };

	if (has_offload(link, RTE_ETH_TX_OFFLOAD_VLAN_INSERT)) {
		mbuf->vlan_tci = (uint16_t)link->stack.vlan;
		mbuf->ol_flags |= RTE_MBUF_F_TX_VLAN;
		return bytes;
	}
	memcpy(bytes, tag, sizeof(tag));
	return bytes + sizeof(tag);
}

static void copy_frame(const struct link *link, struct rte_mbuf *mbuf, const struct pbuf *frame)
{
	uint8_t *to = rte_pktmbuf_mtod(mbuf, uint8_t *);
	unsigned skip = 0;

	if (link->stack.vlan) {
		/* lwIP's Ethernet header is in one piece, at the beginning of the first pbuf. */
		memcpy(to, frame->payload, ADDRESSES_LENGTH);
		skip = ADDRESSES_LENGTH;
		to = put_vlan(link, mbuf, to + ADDRESSES_LENGTH);
	}
	for (; frame; frame = frame->next) {
		memcpy(to, (const uint8_t *)frame->payload + skip, frame->len - skip);
		to += frame->len - skip;
		skip = 0;
	}
	mbuf->data_len = (uint16_t)(to - rte_pktmbuf_mtod(mbuf, uint8_t *));
	mbuf->pkt_len = mbuf->data_len;
}

/* bytes is the frame as it would be without a tag: only what follows the addresses is used. */
static void finish_tcp(const struct link *link, struct rte_mbuf *mbuf, uint8_t *bytes,
		       const struct frame *frame)
{
	uint64_t sum = checksum_pseudo_header(bytes + frame->ip, frame->tcp_length);
	uint8_t *field = bytes + frame->tcp + TCP_CHECKSUM_OFFSET;
	uint16_t value = 0;

	memcpy(field, &value, sizeof(value));
	if (has_offload(link, RTE_ETH_TX_OFFLOAD_TCP_CKSUM)) {
		value = checksum_fold(sum);
		mbuf->l2_len =
			(uint64_t)(bytes + frame->ip - rte_pktmbuf_mtod(mbuf, uint8_t *)) & 0x7f;
		mbuf->l3_len = (frame->tcp - frame->ip) & 0x1ff;
		mbuf->ol_flags |=
			RTE_MBUF_F_TX_TCP_CKSUM |
			(bytes[frame->ip] >> 4 == 4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
	} else {
		value = (uint16_t)~checksum_fold(
			checksum_add(sum, bytes + frame->tcp, frame->tcp_length));
	}
	memcpy(field, &value, sizeof(value));
}

static void finish_checksum(const struct link *link, struct rte_mbuf *mbuf)
{
	uint8_t *bytes = rte_pktmbuf_mtod(mbuf, uint8_t *);
	unsigned length = mbuf->data_len;
	struct frame frame;

	/* The tag moves all that follows it; seen from behind it the frame is as without. */
	if (link->stack.vlan && !has_offload(link, RTE_ETH_TX_OFFLOAD_VLAN_INSERT)) {
		bytes += FRAME_VLAN_LENGTH;
		length -= FRAME_VLAN_LENGTH;
	}
	if (frame_parse(bytes, length, length, &frame) && frame.tcp_length)
		finish_tcp(link, mbuf, bytes, &frame);
}

/* The longest frame is known, so that no device is handed what it cannot carry. */
static bool fits(const struct link *link, const struct pbuf *frame, const struct rte_mbuf *mbuf)
{
	unsigned length = frame->tot_len + (link->stack.vlan ? FRAME_VLAN_LENGTH : 0);

	return frame->tot_len <= link->info.mtu + FRAME_HEADER_LENGTH &&
	       frame->len >= FRAME_HEADER_LENGTH && length <= rte_pktmbuf_tailroom(mbuf);
}

static int give_up(struct link *link, struct rte_mbuf *mbuf, int error)
{
	rte_pktmbuf_free(mbuf);
	link->counters.tx_drops++;
	return error;
}

/* Some drivers have more to do with frames whose checksum they finish, or refuse them. */
static uint16_t prepare(struct link *link, uint16_t count)
{
	uint16_t good;

	if (!link->tx_offloads)
		return count;
	good = rte_eth_tx_prepare(link->port, 0, link->queue, count);
	if (good == 0 && count) {
		/* The first one is refused, and would be for ever. */
		give_up(link, link->queue[0], 0);
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

static unsigned flush_queue(struct link *link)
{
	while (link->queued) {
		uint16_t count = prepare(link, (uint16_t)link->queued), sent;
		uint64_t bytes = bytes_of(link->queue, count);

		if (link->is_guarded)
			guard_enter();
		sent = rte_eth_tx_burst(link->port, 0, link->queue, count);
		if (link->is_guarded)
			guard_leave();
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

static int transmit_alone(struct link *link, struct pbuf *frame)
{
	struct rte_mbuf *mbuf;

	if (link->queued == TRANSMIT_QUEUE_MAX && flush_queue(link) == TRANSMIT_QUEUE_MAX)
		return give_up(link, NULL, -ENOBUFS);
	mbuf = rte_pktmbuf_alloc(link->pool);
	if (!mbuf)
		return give_up(link, NULL, -ENOBUFS);
	if (!fits(link, frame, mbuf))
		return give_up(link, mbuf, -EMSGSIZE);
	copy_frame(link, mbuf, frame);
	finish_checksum(link, mbuf);
	link->queue[link->queued++] = mbuf;
	if (link->queued % TRANSMIT_BATCH == 0)
		flush_queue(link);
	return 0;
}

/* What is queued was made before: it goes first. Returns how many of large.c's frames wait. */
static unsigned send_large(struct link *link)
{
	struct large_counts counts;
	unsigned waiting;

	flush_queue(link);
	if (large_is_empty(link->large))
		return 0;
	waiting = large_send(link->large, &counts);
	link->counters.tx_frames += counts.sent;
	link->counters.tx_bytes += counts.bytes;
	link->counters.tx_drops += counts.lost;
	return waiting;
}

int link_transmit(struct link *link, struct pbuf *frame)
{
	bool send_first = false;

	if (link->large && frame->tot_len <= link->info.mtu + FRAME_HEADER_LENGTH) {
		if (large_take(link->large, frame, &send_first))
			return 0;
		if (send_first && send_large(link))
			return give_up(link, NULL, -ENOBUFS);
		if (link->packet && large_take(link->large, frame, &send_first))
			return 0;
	}
	return link->packet ? give_up(link, NULL, -EMSGSIZE) : transmit_alone(link, frame);
}

unsigned link_flush(struct link *link)
{
	return link->large ? send_large(link) + link->queued : flush_queue(link);
}
