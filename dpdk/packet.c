/* SPDX-License-Identifier: BSD-3-Clause */
/* See packet.h. */
#include "packet.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"
#include "frame.h"
#include "internal.h"
#include "journal.h"
#include "stack/kernel.h"

/* An IP packet of 65,535 bytes and the Ethernet header; longer ones ("BIG TCP") are cut. */
#define FRAME_MAX 65552

/*
 * What the socket may hold: as much as all windows of a burst of bulk transfers. Counted are the
 * kernel's buffers, which are larger than the frames in them.
 */
#define SOCKET_BUFFER (16 << 20)

#ifndef PACKET_IGNORE_OUTGOING /* Linux 4.20 */
#define PACKET_IGNORE_OUTGOING 23
#endif

/* Buffers of the pool's size for one frame. */
#define PIECES ((FRAME_MAX + RTE_MBUF_DEFAULT_DATAROOM - 1) / RTE_MBUF_DEFAULT_DATAROOM)

/* Where a frame is received: always complete, those that a frame has filled are replaced. */
struct slot {
	struct virtio_net_hdr offload;
	struct rte_mbuf *mbufs[PIECES];
	struct iovec piece[1 + PIECES];
};

struct packet {
	int socket, ifindex;
	unsigned frames;
	uint64_t drops;
	struct slot slots[PACKET_FRAMES_MAX];
	struct mmsghdr messages[PACKET_FRAMES_MAX];
};

unsigned packet_buffers(unsigned frames)
{
	return frames * PIECES;
}

int packet_descriptor(const struct packet *packet)
{
	return packet->socket;
}

/* ---- opening ---- */

static int set(int socket, int level, int option, int value)
{
	return setsockopt(socket, level, option, &value, sizeof(value));
}

/* Solicitations come to groups that no other socket has joined. */
static int accept_groups(int socket, int ifindex)
{
	const struct packet_mreq all = { .mr_ifindex = ifindex, .mr_type = PACKET_MR_ALLMULTI };

	return setsockopt(socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all));
}

/* The filter is there before the protocol is: nothing but the stack's frames ever comes. */
static int open_socket(const struct link *link)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(ETH_P_ALL),
				       .sll_ifindex = link->xdp.ifindex };
	struct filter filter;
	struct sock_fprog program = { .filter = filter.code };
	int socket_ = kernel_hide(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	int error = 0;

	if (socket_ < 0)
		return -errno;
	filter_build(&filter, &link->stack, UINT32_MAX, 0);
	program.len = filter.count;
	if (set(socket_, SOL_PACKET, PACKET_VNET_HDR, 1) < 0 ||
	    set(socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) < 0 ||
	    setsockopt(socket_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    accept_groups(socket_, link->xdp.ifindex) < 0 ||
	    bind(socket_, (const struct sockaddr *)&address, sizeof(address)) < 0)
		error = -errno;
	if (error == 0 && set(socket_, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER) < 0)
		set(socket_, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	if (error == 0)
		return socket_;
	close(socket_);
	return error;
}

static void set_piece(struct slot *slot, unsigned index)
{
	struct rte_mbuf *mbuf = slot->mbufs[index];

	slot->piece[1 + index] = (struct iovec){ .iov_base = rte_pktmbuf_mtod(mbuf, void *),
						 .iov_len = rte_pktmbuf_tailroom(mbuf) };
}

static int fill_slot(struct slot *slot, struct rte_mempool *pool)
{
	unsigned i;

	if (rte_pktmbuf_alloc_bulk(pool, slot->mbufs, PIECES) != 0) {
		slot->mbufs[0] = NULL;
		return -ENOMEM;
	}
	slot->piece[0] =
		(struct iovec){ .iov_base = &slot->offload, .iov_len = sizeof(slot->offload) };
	for (i = 0; i < PIECES; i++)
		set_piece(slot, i);
	return 0;
}

static int fill_slots(struct packet *packet, struct rte_mempool *pool)
{
	unsigned i;

	for (i = 0; i < packet->frames; i++) {
		if (fill_slot(&packet->slots[i], pool) < 0)
			return -ENOMEM;
		packet->messages[i].msg_hdr.msg_iov = packet->slots[i].piece;
		packet->messages[i].msg_hdr.msg_iovlen = 1 + PIECES;
	}
	return 0;
}

/* The kernel has the frames too. What is not its own it ignores, unless it is a router. */
static void keep_kernel_off(const struct link *link)
{
	int error = filter_ingress_add(link->xdp.ifindex, &link->stack);

	if (error)
		journal_add(
			STACK_LOG_WARN,
			"%s: the kernel sees the stack's frames too, and would send them on if it "
			"is a router: no filter at the ingress (%s)",
			link->xdp.name, strerrordesc_np(-error));
}

int packet_open(struct link *link, unsigned frames, char *why, size_t why_size)
{
	struct packet *packet = calloc(1, sizeof(*packet));
	int error = -ENOMEM;

	if (!packet)
		return -ENOMEM;
	packet->frames = frames;
	packet->ifindex = link->xdp.ifindex;
	packet->socket = open_socket(link);
	if (packet->socket >= 0)
		error = fill_slots(packet, link->pool);
	else
		error = packet->socket;
	if (error) {
		snprintf(why, why_size, "no packet socket for %s: %s", link->xdp.name,
			 strerrordesc_np(-error));
		packet_abandon(packet);
		return error;
	}
	keep_kernel_off(link);
	link->packet = packet;
	return 0;
}

void packet_close(struct packet *packet)
{
	unsigned i;

	filter_ingress_remove(packet->ifindex);
	for (i = 0; i < packet->frames; i++)
		rte_pktmbuf_free_bulk(packet->slots[i].mbufs, PIECES);
	packet_abandon(packet);
}

void packet_abandon(struct packet *packet)
{
	if (packet->socket >= 0)
		close(packet->socket);
	free(packet);
}

uint64_t packet_drops(struct packet *packet)
{
	struct tpacket_stats counts;
	socklen_t length = sizeof(counts);

	/* The kernel counts anew after each time. */
	if (getsockopt(packet->socket, SOL_PACKET, PACKET_STATISTICS, &counts, &length) == 0)
		packet->drops += counts.tp_drops;
	return packet->drops;
}

/* ---- receiving ---- */

/* The first count of a slot's buffers, replaced, as one chain; NULL: there are no others. */
static struct rte_mbuf *take_chain(struct slot *slot, struct rte_mempool *pool, unsigned length)
{
	struct rte_mbuf *taken[PIECES], *head = NULL;
	unsigned count = 0, left = length, i;

	while (left > slot->piece[1 + count].iov_len)
		left -= (unsigned)slot->piece[1 + count++].iov_len;
	count++;
	memcpy(taken, slot->mbufs, count * sizeof(taken[0]));
	if (rte_pktmbuf_alloc_bulk(pool, slot->mbufs, count) != 0) {
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
 * The beginning of a segment that is longer than a pbuf can be: each of them moves the connection
 * on. What follows is lost as on a wire, and the peer sends it again.
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

static struct pbuf *take_frame(struct link *link, struct slot *slot, unsigned length)
{
	struct rte_mbuf *mbuf;
	bool too_long;

	if (length <= sizeof(slot->offload))
		return NULL;
	length -= (unsigned)sizeof(slot->offload);
	too_long = length > UINT16_MAX && is_large(slot);
	mbuf = take_chain(slot, link->pool, too_long ? UINT16_MAX : length);
	if (!mbuf) {
		link->counters.rx_drops++;
		return NULL;
	}
	if (too_long)
		shorten(mbuf);
	/* Of frames that have not been on a wire the kernel knows that they are good. */
	if (slot->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		mbuf->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
	else if (slot->offload.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		mbuf->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return receive_take(link, mbuf);
}

unsigned packet_receive(struct link *link, struct pbuf **frames, unsigned max)
{
	struct packet *packet = link->packet;
	unsigned want = max < packet->frames ? max : packet->frames, taken = 0;
	long count, i;

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
	return taken;
}
