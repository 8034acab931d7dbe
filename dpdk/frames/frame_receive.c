/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frame from the device to a pbuf: checks what the device has not checked, takes the VLAN tag off
 * and hands each buffer over without a copy. What is malformed or not ours ends here.
 */
#include "dpdk/device_link.h"

#include <string.h>

#include "dpdk/frames/buffer.h"
#include "dpdk/frames/frame.h"
#include "dpdk/frames/frame_receive.h"

/* ---- pbufs ---- */

static void free_buffer(struct pbuf *pbuf)
{
	struct buffer *buffer = (struct buffer *)pbuf;

	buffer->link->held--;
	rte_pktmbuf_free_seg(buffer_mbuf(buffer));
}

void receive_prepare(struct device_link *link, struct rte_mbuf *mbuf)
{
	struct buffer *buffer = buffer_of(mbuf);

	buffer->pbuf.custom_free_function = free_buffer;
	buffer->link = link;
}

/* Each segment becomes a pbuf of its own; together they are a chain. */
static struct pbuf *wrap(struct device_link *link, struct rte_mbuf *mbuf)
{
	struct pbuf *head = NULL;

	while (mbuf) {
		struct rte_mbuf *next = mbuf->next;
		struct pbuf *pbuf;

		mbuf->next = NULL;
		mbuf->nb_segs = 1;
		pbuf = pbuf_alloced_custom(PBUF_RAW, mbuf->data_len, PBUF_REF,
					   &buffer_of(mbuf)->pbuf, rte_pktmbuf_mtod(mbuf, void *),
					   mbuf->data_len);
		link->held++;
		if (head)
			pbuf_cat(head, pbuf);
		else
			head = pbuf;
		mbuf = next;
	}
	return head;
}

/*
 * When many buffers are out already (nobody reads what has arrived), the device must still get
 * some: the bytes go to lwIP's own memory then.
 */
static struct pbuf *copy(struct rte_mbuf *mbuf)
{
	struct pbuf *pbuf = pbuf_alloc(PBUF_RAW, (uint16_t)mbuf->pkt_len, PBUF_RAM);
	const struct rte_mbuf *segment;
	char *to = pbuf ? pbuf->payload : NULL;

	for (segment = mbuf; pbuf && segment; segment = segment->next) {
		memcpy(to, rte_pktmbuf_mtod(segment, void *), segment->data_len);
		to += segment->data_len;
	}
	rte_pktmbuf_free(mbuf);
	return pbuf;
}

/* ---- VLAN ---- */

/* Takes the tag off and says whether the frame is of the stack's VLAN (0: of none). */
static bool accept_vlan(const struct device_link *link, struct rte_mbuf *mbuf)
{
	uint16_t id = 0;

	if (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)
		id = mbuf->vlan_tci & FRAME_VLAN_MASK;
	else if (frame_take_vlan(rte_pktmbuf_mtod(mbuf, uint8_t *), mbuf->data_len, &id))
		rte_pktmbuf_adj(mbuf, FRAME_VLAN_LENGTH);
	return id == link->stack.vlan;
}

/* ---- checks ---- */

static uint64_t sum_segments(const struct rte_mbuf *mbuf, unsigned offset, unsigned length)
{
	uint64_t sum = 0;
	unsigned position = 0;

	for (; mbuf && length; mbuf = mbuf->next) {
		unsigned skip = offset < mbuf->data_len ? offset : mbuf->data_len;
		unsigned take = mbuf->data_len - skip;
		uint64_t part;

		if (take > length)
			take = length;
		part = checksum_add(0, rte_pktmbuf_mtod_offset(mbuf, uint8_t *, skip), take);
		/* A piece that begins at an odd byte has its bytes the other way round. */
		sum += position % 2 ? __builtin_bswap16(checksum_fold(part)) : part;
		position += take;
		offset -= skip;
		length -= take;
	}
	return sum;
}

static bool good_tcp(const struct device_link *link, const struct rte_mbuf *mbuf,
		     const struct frame *frame)
{
	uint64_t flags = mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	const uint8_t *bytes = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint64_t pseudo;

	/* NONE: the field is not finished, but the device says that the data are good. */
	if (flags == RTE_MBUF_F_RX_L4_CKSUM_GOOD || flags == RTE_MBUF_F_RX_L4_CKSUM_NONE)
		return true;
	pseudo = checksum_pseudo_header(bytes + frame->ip, frame->tcp_length);
	if (link->info.kernel_peer && frame_tcp_unfinished(bytes + frame->tcp, pseudo))
		return true;
	if (flags == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return false;
	return checksum_fold(pseudo + sum_segments(mbuf, frame->tcp, frame->tcp_length)) == 0xffff;
}

static bool good_ip(const struct rte_mbuf *mbuf, const struct frame *frame)
{
	uint64_t flags = mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;

	if (frame->ip_header_length == 0 || flags == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		return true;
	return checksum_header_good(rte_pktmbuf_mtod(mbuf, const uint8_t *) + frame->ip,
				    frame->ip_header_length);
}

/* The headers that are looked at must lie in the first segment, as every driver leaves them. */
static bool accept_frame(struct device_link *link, struct rte_mbuf *mbuf)
{
	struct frame frame;

	if (mbuf->pkt_len > UINT16_MAX || !accept_vlan(link, mbuf) ||
	    !frame_parse(rte_pktmbuf_mtod(mbuf, const uint8_t *), mbuf->data_len, mbuf->pkt_len,
			 &frame))
		return false;
	if (good_ip(mbuf, &frame) && (!frame.tcp_length || good_tcp(link, mbuf, &frame)))
		return true;
	link->counters.rx_bad_checksum++;
	return false;
}

struct pbuf *receive_take(struct device_link *link, struct rte_mbuf *mbuf)
{
	struct pbuf *pbuf;

	link->counters.rx_frames++;
	link->counters.rx_bytes += mbuf->pkt_len;
	if (!accept_frame(link, mbuf)) {
		link->counters.rx_drops++;
		rte_pktmbuf_free(mbuf);
		return NULL;
	}
	pbuf = link->held < link->size.hold_limit ? wrap(link, mbuf) : copy(mbuf);
	if (!pbuf) {
		link->counters.rx_drops++;
		link->counters.rx_drops_memory++;
	}
	return pbuf;
}
