/* SPDX-License-Identifier: BSD-3-Clause */
/* See packet_receive.h. */
#include "dpdk/packet/packet_receive.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "dpdk/device_link.h"
#include "common/system_call.h"
#include "dpdk/frames/frame_receive.h"
#include "dpdk/frames/gso.h"
#include "dpdk/frames/pool.h"
#include "dpdk/port/limits.h"

/* An IP packet of 65,535 bytes and the Ethernet header; longer ones ("BIG TCP") are cut. */
#define FRAME_MAX 65552

/* Buffers of the pool's size for one frame. */
#define PIECES ((FRAME_MAX + RTE_MBUF_DEFAULT_DATAROOM - 1) / RTE_MBUF_DEFAULT_DATAROOM)

/*
 * Where a frame is received. A slot always has all its buffers: those that a frame has filled are
 * replaced.
 */
struct slot {
	struct virtio_net_hdr offload;
	struct rte_mbuf *mbufs[PIECES];
	struct iovec piece[1 + PIECES];
};

struct packet {
	int socket;
	unsigned frames; /* how many it may receive at a time */
	unsigned filled; /* slots that have buffers: the first ones */
	uint64_t drops;
	struct slot slots[PACKET_FRAMES_MAX];
	struct mmsghdr messages[PACKET_FRAMES_MAX];
};

static void set_piece(struct slot *slot, unsigned index)
{
	struct rte_mbuf *mbuf = slot->mbufs[index];

	slot->piece[1 + index] = (struct iovec){ .iov_base = rte_pktmbuf_mtod(mbuf, void *),
						 .iov_len = rte_pktmbuf_tailroom(mbuf) };
}

static int fill_slot(struct device_link *link, struct slot *slot)
{
	unsigned i;

	if (pool_take(link, slot->mbufs, PIECES) < 0)
		return -ENOBUFS;
	slot->piece[0] =
		(struct iovec){ .iov_base = &slot->offload, .iov_len = sizeof(slot->offload) };
	for (i = 0; i < PIECES; i++)
		set_piece(slot, i);
	return 0;
}

/* Returns how many of the slots that are wanted have buffers. They get them when first wanted. */
static unsigned fill_slots(struct device_link *link, unsigned wanted)
{
	struct packet *packet = link->packet;

	while (packet->filled < wanted) {
		struct slot *slot = &packet->slots[packet->filled];
		struct msghdr *message = &packet->messages[packet->filled].msg_hdr;

		if (fill_slot(link, slot) < 0)
			return packet->filled;
		message->msg_iov = slot->piece;
		message->msg_iovlen = 1 + PIECES;
		packet->filled++;
	}
	return wanted;
}

static uint16_t choose_size(const char *name, unsigned wanted, unsigned most)
{
	return (uint16_t)(wanted ? limits_clamp(name, wanted, 1, most) : PACKET_FRAMES);
}

void packet_choose_sizes(struct device_link *link)
{
	link->queues = 1;
	link->rxd = choose_size("MELIN_RXD", link->stack.rxd, PACKET_FRAMES_MAX);
	link->txd = choose_size("MELIN_TXD", link->stack.txd, GSO_RUNS_MAX);
}

struct pool_need packet_pool_need(unsigned frames)
{
	return (struct pool_need){ .queues = 1,
				   .rxd = frames * PIECES,
				   .txd = 0,	      /* it sends from lwIP's */
				   .mtu = ETHERMTU }; /* frames are chains, whatever the MTU is */
}

int packet_receive_start(struct device_link *link, int socket)
{
	struct packet *packet = calloc(1, sizeof(*packet));

	if (!packet)
		return -ENOMEM;
	packet->socket = socket;
	packet->frames = link->rxd;
	link->packet = packet;
	return 0;
}

void packet_receive_stop(struct device_link *link)
{
	struct packet *packet = link->packet;
	unsigned i;

	if (!packet)
		return;
	for (i = 0; i < packet->filled; i++)
		rte_pktmbuf_free_bulk(packet->slots[i].mbufs, PIECES);
	packet_receive_abandon(link);
}

void packet_receive_abandon(struct device_link *link)
{
	free(link->packet);
	link->packet = NULL;
}

int packet_wait_descriptor(const struct device_link *link)
{
	return link->packet->socket;
}

/* ---- receiving ---- */

/*
 * Takes the slot's first buffers, as many as the frame fills, as one chain, and puts others in
 * their place. NULL: there are no others.
 */
static struct rte_mbuf *take_chain(struct device_link *link, struct slot *slot, unsigned length)
{
	struct rte_mbuf *taken[PIECES], *head = NULL;
	unsigned count = 0, left = length, i;

	while (left > slot->piece[1 + count].iov_len)
		left -= (unsigned)slot->piece[1 + count++].iov_len;
	count++;
	memcpy(taken, slot->mbufs, count * sizeof(taken[0]));
	if (pool_take(link, slot->mbufs, count) < 0) {
		memcpy(slot->mbufs, taken, count * sizeof(taken[0]));
		return NULL;
	}
	for (i = count; i--;) {
		taken[i]->data_len = (uint16_t)(i == count - 1 ? left : slot->piece[1 + i].iov_len);
		taken[i]->next = head;
		head = taken[i];
		set_piece(slot, i);
	}
	head->nb_segs = (uint16_t)count;
	head->pkt_len = length;
	return head;
}

static bool is_large(const struct slot *slot)
{
	uint8_t type = slot->offload.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	return type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;
}

/* A length of more than 16 bits is in an option of its own, the only one of its header. */
static void remove_jumbo(struct rte_mbuf *mbuf)
{
	uint8_t *bytes = rte_pktmbuf_mtod(mbuf, uint8_t *);
	const struct ip6_hdr *ip = (const void *)(bytes + FRAME_HEADER_LENGTH);
	const struct ip6_hbh *options = (const void *)(ip + 1);
	unsigned length = FRAME_HEADER_LENGTH + sizeof(*ip);
	uint8_t next = options->ip6h_nxt;

	if (ip->ip6_plen != 0 || ip->ip6_nxt != IPPROTO_HOPOPTS || options->ip6h_len != 0 ||
	    *(const uint8_t *)(options + 1) != IP6OPT_JUMBO)
		return;
	bytes[FRAME_HEADER_LENGTH + offsetof(struct ip6_hdr, ip6_nxt)] = next;
	memmove(bytes + 8, bytes, length);
	rte_pktmbuf_adj(mbuf, 8);
}

/*
 * Makes a frame of the beginning of a segment that is longer than a pbuf can be: each such frame
 * moves the connection on. What follows is lost as on a wire, and the peer sends it again.
 */
static void shorten(struct rte_mbuf *mbuf)
{
	uint8_t *bytes = rte_pktmbuf_mtod(mbuf, uint8_t *), *ip = bytes + FRAME_HEADER_LENGTH;
	bool is_ipv4 = ip[0] >> 4 == 4;
	struct frame frame;
	uint16_t length;

	if (!is_ipv4) {
		remove_jumbo(mbuf);
		bytes = rte_pktmbuf_mtod(mbuf, uint8_t *);
		ip = bytes + FRAME_HEADER_LENGTH;
	}
	length = htons((uint16_t)(mbuf->pkt_len - FRAME_HEADER_LENGTH -
				  (is_ipv4 ? 0 : sizeof(struct ip6_hdr))));
	memcpy(ip + (is_ipv4 ? offsetof(struct iphdr, tot_len)
			     : offsetof(struct ip6_hdr, ip6_plen)),
	       &length, sizeof(length));
	mbuf->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	if (frame_parse(bytes, mbuf->data_len, mbuf->pkt_len, &frame) && frame.tcp_length)
		bytes[frame.tcp + offsetof(struct tcphdr, th_flags)] &= (uint8_t)~TH_FIN;
}

void packet_mark_checksum(struct rte_mbuf *mbuf, const struct virtio_net_hdr *offload)
{
	if (offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		mbuf->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
	else if (offload->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		mbuf->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

static struct pbuf *take_frame(struct device_link *link, struct slot *slot, unsigned length)
{
	struct rte_mbuf *mbuf;
	bool too_long;

	if (length <= sizeof(slot->offload))
		return NULL;
	length -= (unsigned)sizeof(slot->offload);
	too_long = length > UINT16_MAX && is_large(slot);
	mbuf = take_chain(link, slot, too_long ? UINT16_MAX : length);
	if (!mbuf) {
		link->counters.rx_drops++;
		link->counters.rx_drops_memory++;
		return NULL;
	}
	if (too_long)
		shorten(mbuf);
	packet_mark_checksum(mbuf, &slot->offload);
	return receive_take(link, mbuf);
}

/*
 * There is no memory for the frame that is next: it is taken and lost, so that those behind it can
 * come.
 */
static unsigned lose_one(struct device_link *link)
{
	struct virtio_net_hdr offload;

	if (kernel_call5(SYS_recvfrom, link->packet->socket, (long)&offload, sizeof(offload),
			 MSG_DONTWAIT | MSG_TRUNC, 0) < 0)
		return 0;
	link->counters.rx_drops++;
	link->counters.rx_drops_memory++;
	return 1;
}

unsigned packet_receive_counted(struct device_link *link, struct pbuf **frames, unsigned max,
				unsigned *received)
{
	struct packet *packet = link->packet;
	unsigned want = fill_slots(link, max < packet->frames ? max : packet->frames), taken = 0;
	long count, i;

	if (want == 0) {
		*received = lose_one(link);
		return 0;
	}
	/*
	 * An error is the interface's (it is down), or one frame's that the kernel has no words
	 * for; that one is gone, and those behind it come with the next call.
	 */
	count = kernel_call5(SYS_recvmmsg, packet->socket, (long)packet->messages, want,
			     MSG_DONTWAIT, 0);
	for (i = 0; i < count; i++) {
		frames[taken] = take_frame(link, &packet->slots[i], packet->messages[i].msg_len);
		if (frames[taken])
			taken++;
	}
	*received = count > 0 ? (unsigned)count : 0;
	return taken;
}

unsigned packet_receive(struct device_link *link, struct pbuf **frames, unsigned max)
{
	unsigned received;

	return packet_receive_counted(link, frames, max, &received);
}

uint64_t packet_drops(const struct device_link *link)
{
	struct packet *packet = link->packet;
	struct tpacket_stats counts;
	socklen_t length = sizeof(counts);

	/* The kernel counts anew after each time. */
	if (getsockopt(packet->socket, SOL_PACKET, PACKET_STATISTICS, &counts, &length) == 0)
		packet->drops += counts.tp_drops;
	return packet->drops;
}

void packet_count_missed(struct device_link *link)
{
	link->packet->drops++;
}
