/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pbuf to the device: copies the frame into a buffer, finishes its TCP checksum and puts the VLAN
 * tag on. When which frame goes is the backend's to say.
 */
#include "dpdk/device_link.h"

#include <errno.h>
#include <string.h>

#include <net/ethernet.h>

#include "dpdk/frames/buffer.h"
#include "dpdk/frames/frame.h"
#include "dpdk/frames/gso.h"
#include "dpdk/frames/frame_transmit.h"

#define TCP_CHECKSUM_OFFSET 16
#define ADDRESSES_LENGTH    (2 * ETHER_ADDR_LEN)

static bool has_offload(const struct device_link *link, uint64_t offload)
{
	return link->tx_offloads & offload;
}

/* Returns where the frame goes on behind the tag. */
static uint8_t *put_vlan(const struct device_link *link, struct rte_mbuf *mbuf, uint8_t *bytes)
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

static void copy_frame(const struct device_link *link, struct rte_mbuf *mbuf,
		       const struct pbuf *frame)
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
static void finish_tcp(const struct device_link *link, struct rte_mbuf *mbuf, uint8_t *bytes,
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

static void finish_checksum(const struct device_link *link, struct rte_mbuf *mbuf)
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

bool transmit_fits(const struct device_link *link, const struct pbuf *frame)
{
	return frame->tot_len <= link->info.mtu + FRAME_HEADER_LENGTH;
}

/* Whether the device can carry the frame, and the buffer holds it. */
static bool has_room(const struct device_link *link, const struct pbuf *frame,
		     const struct rte_mbuf *mbuf)
{
	unsigned length = frame->tot_len + (link->stack.vlan ? FRAME_VLAN_LENGTH : 0);

	return transmit_fits(link, frame) && frame->len >= FRAME_HEADER_LENGTH &&
	       length <= rte_pktmbuf_tailroom(mbuf);
}

bool transmit_fill(const struct device_link *link, struct rte_mbuf *mbuf, const struct pbuf *frame)
{
	if (!has_room(link, frame, mbuf))
		return false;
	copy_frame(link, mbuf, frame);
	finish_checksum(link, mbuf);
	return true;
}

int transmit_give_up(struct device_link *link, struct rte_mbuf *mbuf, int error)
{
	rte_pktmbuf_free(mbuf);
	link->counters.tx_drops++;
	return error;
}

int transmit_take(struct device_link *link, struct pbuf *frame, unsigned interface)
{
	bool send_first = false;

	if (!transmit_fits(link, frame))
		return transmit_give_up(link, NULL, -EMSGSIZE);
	if (gso_take(link->gso, frame, interface, &send_first))
		return 0;
	if (send_first && transmit_gso(link))
		return transmit_give_up(link, NULL, -ENOBUFS);
	if (gso_take(link->gso, frame, interface, &send_first))
		return 0;
	return transmit_give_up(link, NULL, -EMSGSIZE);
}

unsigned transmit_gso(struct device_link *link)
{
	struct gso_counts counts;
	unsigned waiting;

	if (gso_is_empty(link->gso))
		return 0;
	waiting = gso_send(link->gso, &counts);
	link->counters.tx_frames += counts.sent;
	link->counters.tx_bytes += counts.bytes;
	link->counters.tx_drops += counts.lost;
	return waiting;
}
