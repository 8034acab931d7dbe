/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device "packet:NAME": a Linux interface by packet sockets (packet(7)), where the frames that
 * the kernel has not cut, or has put together (TSO, GRO), come and go whole. Receiving, and keeping
 * the kernel off what is received; sending is gso.c's. It is no port of DPDK's, but has its pool.
 */
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

#include "dpdk/interface/packet_filter.h"
#include "dpdk/frames/frame.h"
#include "dpdk/internal.h"
#include "dpdk/eal/journal.h"
#include "dpdk/frames/gso.h"
#include "dpdk/port/limits.h"
#include "dpdk/frames/pool.h"
#include "common/system_call.h"

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

/* Frames that are taken with a system call; each takes a large segment's buffers. */
#define PACKET_FRAMES	  32 /* a burst of requests */
#define PACKET_FRAMES_MAX 64

/* A pbuf counts its bytes in 16 bits, and the Ethernet header is among them. */
#define PACKET_MTU_MAX (UINT16_MAX - FRAME_HEADER_LENGTH)

/* Buffers of the pool's size for one frame. */
#define PIECES ((FRAME_MAX + RTE_MBUF_DEFAULT_DATAROOM - 1) / RTE_MBUF_DEFAULT_DATAROOM)

/* Where a frame is received: always complete, those that a frame has filled are replaced. */
struct slot {
	struct virtio_net_hdr offload;
	struct rte_mbuf *mbufs[PIECES];
	struct iovec piece[1 + PIECES];
};

struct packet {
	int socket;
	unsigned frames;
	uint64_t drops;
	struct slot slots[PACKET_FRAMES_MAX];
	struct mmsghdr messages[PACKET_FRAMES_MAX];
};

/* ---- the socket ---- */

static void forget(struct packet *packet)
{
	if (packet->socket >= 0)
		close(packet->socket);
	free(packet);
}

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
static int open_socket(const struct device_link *link)
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
static void keep_kernel_off(const struct device_link *link)
{
	int error = filter_ingress_add(link->xdp.ifindex, &link->stack);

	if (error)
		journal_add(
			STACK_LOG_WARN,
			"%s: the kernel sees the stack's frames too, and would send them on if it "
			"is a router: no filter at the ingress (%s)",
			link->xdp.name, strerrordesc_np(-error));
}

/* On a program thread, when the pool is there. */
static int open_receiver(struct device_link *link, char *why, size_t why_size)
{
	struct packet *packet = calloc(1, sizeof(*packet));
	int error = -ENOMEM;

	if (!packet)
		return -ENOMEM;
	packet->frames = link->rxd;
	packet->socket = open_socket(link);
	if (packet->socket >= 0)
		error = fill_slots(packet, link->pool);
	else
		error = packet->socket;
	if (error) {
		snprintf(why, why_size, "no packet socket for %s: %s", link->xdp.name,
			 strerrordesc_np(-error));
		forget(packet);
		return error;
	}
	keep_kernel_off(link);
	link->packet = packet;
	return 0;
}

static int open_sockets(struct device_link *link, char *why, size_t why_size)
{
	int error = open_receiver(link, why, why_size);

	if (error)
		return error;
	link->gso = gso_open(link->xdp.ifindex, true, link->txd);
	if (link->gso)
		return 0;
	error = errno;
	snprintf(why, why_size, "no packet socket for large segments on %s: %s", link->xdp.name,
		 strerrordesc_np(error));
	return -error;
}

static void close_sockets(struct device_link *link)
{
	struct packet *packet = link->packet;
	unsigned i;

	if (link->gso)
		gso_close(link->gso);
	link->gso = NULL;
	if (!packet)
		return;
	filter_ingress_remove(link->xdp.ifindex);
	for (i = 0; i < packet->frames; i++)
		rte_pktmbuf_free_bulk(packet->slots[i].mbufs, PIECES);
	forget(packet);
	link->packet = NULL;
}

static void leave(struct device_link *link)
{
	filter_ingress_remove(link->xdp.ifindex);
}

/* The parent's filter and buffers stay. */
static void abandon_sockets(struct device_link *link)
{
	if (link->gso)
		gso_close(link->gso);
	if (link->packet)
		forget(link->packet);
}

static uint64_t drops(const struct device_link *link)
{
	struct packet *packet = link->packet;
	struct tpacket_stats counts;
	socklen_t length = sizeof(counts);

	/* The kernel counts anew after each time. */
	if (getsockopt(packet->socket, SOL_PACKET, PACKET_STATISTICS, &counts, &length) == 0)
		packet->drops += counts.tp_drops;
	return packet->drops;
}

static int wait_descriptor(const struct device_link *link)
{
	return link->packet->socket;
}

/* ---- the pool: no port is behind it ---- */

static struct pool_need need_of(unsigned frames)
{
	return (struct pool_need){ .queues = 1,
				   .rxd = frames * PIECES,
				   .txd = 0,	      /* it sends from lwIP's */
				   .mtu = ETHERMTU }; /* frames are chains, whatever the MTU is */
}

static size_t memory(const struct device_link *link)
{
	const struct pool_need need = need_of(link->stack.rxd ? PACKET_FRAMES_MAX : PACKET_FRAMES);

	return pool_memory(link, &need);
}

/*
 * Packet sockets have no rings: the numbers are of frames that a system call takes, and of
 * connections (or single frames) that one sends for.
 */
static void choose_sizes(struct device_link *link)
{
	const struct stack_config *config = &link->stack;

	if (config->queues)
		limits_clamp("MELIN_QUEUES", config->queues, 1, 1);
	link->queues = 1;
	link->rxd = (uint16_t)(config->rxd ? limits_clamp("MELIN_RXD", config->rxd, 1,
							  PACKET_FRAMES_MAX)
					   : PACKET_FRAMES);
	link->txd = (uint16_t)(config->txd ? limits_clamp("MELIN_TXD", config->txd, 1, GSO_RUNS_MAX)
					   : PACKET_FRAMES);
}

/* The interface's MTU is not changed. */
static void choose_mtu(struct device_link *link)
{
	unsigned mtu = link->xdp.mtu < PACKET_MTU_MAX ? link->xdp.mtu : PACKET_MTU_MAX;

	link->info.mtu = (uint16_t)(link->stack.mtu ? limits_clamp("MELIN_MTU", link->stack.mtu,
								   RTE_ETHER_MIN_MTU, mtu)
						    : mtu);
}

static int choose(struct device_link *link, char *why, size_t why_size)
{
	if (link->stack.vlan) {
		snprintf(
			why, why_size,
			"MELIN_VLAN: packet sockets see no tags; give it the VLAN's own interface");
		return -ENOTSUP;
	}
	choose_sizes(link);
	choose_mtu(link);
	link->info.kernel_peer = true;
	link->info.driver = "packet sockets";
	memcpy(link->info.mac, link->xdp.mac, sizeof(link->info.mac));
	return 0;
}

static int open_pool(struct device_link *link, char *why, size_t why_size)
{
	struct pool_need need;
	int error = choose(link, why, why_size);

	if (error)
		return error;
	need = need_of(link->rxd);
	return pool_open(link, &need, POOL_WITHOUT_HARDWARE, why, why_size);
}

static int claim(struct device_link *link, char *why, size_t why_size)
{
	return xdp_claim(&link->xdp, link->device.name, true, &link->stack, why, why_size);
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

static struct pbuf *take_frame(struct device_link *link, struct slot *slot, unsigned length)
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

static unsigned receive(struct device_link *link, struct pbuf **frames, unsigned max)
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

/* ---- sending: all frames go through gso.c ---- */

static int transmit(struct device_link *link, struct pbuf *frame)
{
	bool send_first = false;

	if (!transmit_fits(link, frame))
		return transmit_give_up(link, NULL, -EMSGSIZE);
	if (gso_take(link->gso, frame, &send_first))
		return 0;
	if (send_first && transmit_gso(link))
		return transmit_give_up(link, NULL, -ENOBUFS);
	if (gso_take(link->gso, frame, &send_first))
		return 0;
	return transmit_give_up(link, NULL, -EMSGSIZE);
}

const struct backend backend_packet = {
	.claim = claim,
	.memory = memory,
	.open = open_pool,
	.close = pool_close,
	.open_sockets = open_sockets,
	.close_sockets = close_sockets,
	.abandon_sockets = abandon_sockets,
	.leave = leave,
	.needs_descriptor = wait_may_be_used, /* it has none that handles frames */
	.wait_descriptor = wait_descriptor,
	.receive = receive,
	.transmit = transmit,
	.flush = transmit_gso,
	.drops = drops,
};

int packet_take_over(struct device_link *link, char *why, size_t why_size)
{
	const struct backend *before = link->backend;
	int error = choose(link, why, why_size);

	if (error)
		return error;
	link->backend = &backend_packet;
	error = open_sockets(link, why, why_size);
	if (error == 0)
		return 0;
	close_sockets(link);
	link->backend = before;
	return error;
}
