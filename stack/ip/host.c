/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See host.h. Neither IP input nor ARP is run for segments: the header's addresses and ports find a
 * borrowed connection, or the frame is dropped without a word, since the kernel answers all others.
 * Errors of ICMP go through IP input to icmp_error.c. lwIP's output gets the Ethernet header of the
 * path that the connection was borrowed with.
 */
#include "stack/ip/host.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/icmp.h"
#include "lwip/prot/icmp6.h"

#include "common/network_order.h"
#include "common/reason.h"
#include "stack/instance_parts.h"
#include "stack/ip/past_ip.h"
#include "stack/ip/routing.h"
#include "stack/ip/segment_filter.h"
#include "stack/ip/sockaddr.h"
#include "stack/socket_parts.h"
#include "stack/tcp/index.h"

/* A pbuf counts in 16 bits; each connection's segments fit its path. */
#define HOST_MTU (UINT16_MAX - SIZEOF_ETH_HDR)

/* Threads that find nothing look after the link; a busy one need not do so often. */
#define ATTEND_NS (100ull * 1000000)

#define IP4_SIZE     20
#define IP4_TOTAL    2
#define IP4_FRAGMENT 6
#define IP4_PROTOCOL 9
#define IP6_SIZE     40
#define IP6_PAYLOAD  4
#define IP6_NEXT     6

/* Of IPv6's extension headers that the tap lets pass: broker/tap_program.c */
#define EXTENSION_SIZE 8

#define PORTS_SIZE 4

/* ---- output ---- */

/* What lwIP would say of others' connections, or at the end of one, is the kernel's to say. */
static bool may_be_said(const struct pbuf *packet, unsigned header)
{
	const struct tcp_hdr *tcp = (const void *)((const uint8_t *)packet->payload + header);

	return packet->len >= header + TCP_HLEN &&
	       !(TCPH_FLAGS(tcp) & (TCP_SYN | TCP_FIN | TCP_RST));
}

static void put_ethernet(uint8_t *header, const struct adopted *adopted)
{
	const struct connection_path *path = &adopted->path;

	memcpy(header, path->destination, sizeof(path->destination));
	header += sizeof(path->destination);
	memcpy(header, path->source, sizeof(path->source));
	header += sizeof(path->source);
	memcpy(header, &adopted->ethernet_type, sizeof(adopted->ethernet_type));
}

static err_t output(struct stack *stack, struct pbuf *packet, unsigned header)
{
	const struct stack_socket *socket = stack->host.sender;

	if (!socket || socket->adopted.is_cut || !may_be_said(packet, header))
		return ERR_OK;
	if (pbuf_add_header(packet, SIZEOF_ETH_HDR))
		return ERR_BUF;
	put_ethernet(packet->payload, &socket->adopted);
	if (stack->link->operations->transmit_by(stack->link, packet,
						 socket->adopted.path.interface) != -ENOBUFS)
		return ERR_OK;
	stack->transmit_failed = true; /* as in network.c */
	return ERR_BUF;
}

static err_t output4(struct netif *netif, struct pbuf *packet, const ip4_addr_t *destination)
{
	(void)destination;
	return output(netif->state, packet, IP4_SIZE);
}

static err_t output6(struct netif *netif, struct pbuf *packet, const ip6_addr_t *destination)
{
	(void)destination;
	return output(netif->state, packet, IP6_SIZE);
}

static err_t start_netif(struct netif *netif)
{
	netif->name[0] = 'h';
	netif->name[1] = 'o';
	netif->output = output4;
	netif->output_ip6 = output6;
	netif->mtu = HOST_MTU;
	netif->flags = NETIF_FLAG_LINK_UP;
	NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_GEN_IP); /* the link does TCP's */
	return ERR_OK;
}

int host_start(struct stack *stack, struct reason *reason)
{
	ip4_addr_t none;

	ip4_addr_set_zero(&none);
	if (!netif_add(&stack->host.netif, &none, &none, &none, stack, start_netif,
		       past_ip_never_input))
		return reason_set(reason, -ENOMEM, "no memory for an interface");
	netif_set_up(&stack->host.netif);
	return 0;
}

void host_stop(struct stack *stack)
{
	early_frames_free(&stack->host.early);
	netif_remove(&stack->host.netif);
}

/* ---- input ---- */

/* A packet that has come. */
struct packet_in {
	unsigned header; /* bytes of IP's headers */
	unsigned size;	 /* and of the whole */
	bool is_fragment;
};

/*
 * These two set what IP input would have left behind for TCP, too. False: it is no packet of TCP's
 * in one of the forms that the tap lets pass.
 */
static bool read_ip4(const uint8_t *ip, unsigned there, struct packet_in *packet)
{
	const struct ip_hdr *header = (const struct ip_hdr *)ip;
	unsigned fragment;

	if (there < IP4_SIZE || ip[0] >> 4 != 4 || ip[IP4_PROTOCOL] != IP_PROTO_TCP)
		return false;
	fragment = bytes_read16(ip + IP4_FRAGMENT) & 0x3fff;
	*packet = (struct packet_in){ .header = (ip[0] & 15) * 4u,
				      .size = bytes_read16(ip + IP4_TOTAL),
				      .is_fragment = fragment };
	past_ip_begin4(header);
	return packet->header >= IP4_SIZE && !(fragment & 0x1fff); /* has the ports */
}

static bool read_ip6(const uint8_t *ip, unsigned there, struct packet_in *packet)
{
	struct ip6_hdr *header = (struct ip6_hdr *)(uintptr_t)ip;
	const uint8_t *extension = ip + IP6_SIZE;
	uint8_t next;

	if (there < IP6_SIZE || ip[0] >> 4 != 6)
		return false;
	next = ip[IP6_NEXT];
	*packet = (struct packet_in){ .header = IP6_SIZE,
				      .size = IP6_SIZE + bytes_read16(ip + IP6_PAYLOAD),
				      .is_fragment = next == IP6_NEXTH_FRAGMENT };
	if ((next == IP6_NEXTH_FRAGMENT || next == IP6_NEXTH_HOPBYHOP) &&
	    there >= IP6_SIZE + EXTENSION_SIZE) {
		packet->header += EXTENSION_SIZE;
		next = extension[1] == 0 || packet->is_fragment ? extension[0] : IP6_NEXTH_NONE;
	}
	past_ip_begin6(header);
	return next == IP_PROTO_TCP;
}

static bool read_ip(const struct pbuf *frame, struct packet_in *packet)
{
	const uint8_t *bytes = frame->payload;

	if (frame->len < SIZEOF_ETH_HDR)
		return false;
	switch (bytes_read16(bytes + SIZEOF_ETH_HDR - 2)) {
	case ETHTYPE_IP:
		return read_ip4(bytes + SIZEOF_ETH_HDR, frame->len - SIZEOF_ETH_HDR, packet);
	case ETHTYPE_IPV6:
		return read_ip6(bytes + SIZEOF_ETH_HDR, frame->len - SIZEOF_ETH_HDR, packet);
	default:
		return false;
	}
}

/* Whose it is; the ports are there. */
static struct tcp_pcb *find_owner(const uint8_t *tcp)
{
	return melin_index_find(ip_current_dest_addr(), bytes_read16(tcp + 2),
				ip_current_src_addr(), bytes_read16(tcp));
}

/* The rest of a fragmented segment never comes here: the kernel puts such together. */
static void leave_fragments(const struct tcp_pcb *pcb)
{
	if (pcb && socket_of(pcb))
		adopted_return(socket_of(pcb), STACK_RETURN_PATH);
}

/* Whether it is a whole segment. */
static bool is_segment(const struct pbuf *frame, struct packet_in *packet)
{
	uint8_t *bytes = frame->payload;
	unsigned before;

	if (!read_ip(frame, packet))
		return false;
	before = SIZEOF_ETH_HDR + packet->header;
	if (packet->size < packet->header || SIZEOF_ETH_HDR + packet->size > frame->tot_len ||
	    frame->len < before + PORTS_SIZE)
		return false;
	if (packet->is_fragment) {
		leave_fragments(find_owner(bytes + before));
		return false;
	}
	return filter_segment(bytes + before, frame->len - before, packet->size - packet->header);
}

static bool is_owned(const struct pbuf *frame, const struct packet_in *packet)
{
	return find_owner((const uint8_t *)frame->payload + SIZEOF_ETH_HDR + packet->header);
}

static void drop(struct stack *stack, struct pbuf *frame)
{
	stack->counters.rx_drops_foreign++;
	pbuf_free(frame);
}

/* Whether it is an error of ICMP, whole and in one piece. A ping is the kernel's to answer. */
static bool is_message(const struct pbuf *frame, bool *is_ip4)
{
	const uint8_t *bytes = frame->payload, *ip = bytes + SIZEOF_ETH_HDR;
	const unsigned there = frame->len - SIZEOF_ETH_HDR;
	unsigned header, total;

	if (frame->len < SIZEOF_ETH_HDR + IP4_SIZE)
		return false;
	*is_ip4 = bytes_read16(ip - 2) == ETHTYPE_IP;
	if (!*is_ip4)
		return bytes_read16(ip - 2) == ETHTYPE_IPV6 && there > IP6_SIZE &&
		       ip[IP6_NEXT] == IP6_NEXTH_ICMP6 && ip[IP6_SIZE] < ICMP6_TYPE_EREQ;
	header = (ip[0] & 15) * 4u;
	total = bytes_read16(ip + IP4_TOTAL);
	return ip[IP4_PROTOCOL] == IP_PROTO_ICMP && header >= IP4_SIZE && header < total &&
	       total <= there && ip[header] != ICMP_ECHO && ip[header] != ICMP_ER &&
	       !(bytes_read16(ip + IP4_FRAGMENT) & 0x3fff);
}

/* What the tap passes of ICMP is about a borrowed connection. lwIP's IP input hands on errors. */
static bool message_input(struct stack *stack, struct pbuf *frame)
{
	bool is_ip4;

	if (!is_message(frame, &is_ip4) || pbuf_remove_header(frame, SIZEOF_ETH_HDR))
		return false;
	if (is_ip4)
		ip4_input(frame, &stack->host.netif);
	else
		ip6_input(frame, &stack->host.netif);
	return true;
}

void host_input(struct stack *stack, struct pbuf *frame)
{
	struct packet_in packet;

	if (message_input(stack, frame))
		return;
	if (!is_segment(frame, &packet)) {
		drop(stack, frame);
		return;
	}
	if (!is_owned(frame, &packet)) {
		if (!early_frames_keep(&stack->host.early, frame))
			drop(stack, frame);
		return;
	}
	if (frame->tot_len > SIZEOF_ETH_HDR + packet.size)
		pbuf_realloc(frame, (u16_t)(SIZEOF_ETH_HDR + packet.size)); /* padding */
	past_ip_input(frame, &stack->host.netif, (u16_t)(SIZEOF_ETH_HDR + packet.header),
		      (u16_t)packet.header);
}

void host_input_early(struct stack *stack)
{
	struct early_frames frames = { 0 };

	early_frames_move(&stack->host.early, &frames);
	for (unsigned i = 0; i < frames.count; i++)
		host_input(stack, frames.frame[i]);
}

/* ---- paths ---- */

static bool is_within(const ip_addr_t *address, const struct link_path_news *news, unsigned bits)
{
	const void *bytes = IP_IS_V6(address) ? (const void *)ip_2_ip6(address)->addr
					      : (const void *)&ip_2_ip4(address)->addr;

	return (news->family == AF_INET6) == IP_IS_V6(address) &&
	       routing_same_prefix(bytes, news->address, bits);
}

static bool concerns(const struct link_path_news *news, const struct stack_socket *socket)
{
	const struct connection_path *path = &socket->adopted.path;

	switch (news->what) {
	case LINK_PATH_INTERFACE:
		return news->interface == path->interface &&
		       (!news->is_up || news->mtu < path->mtu ||
			memcmp(news->mac, path->source, sizeof(news->mac)) != 0);
	case LINK_PATH_NEIGHBOUR:
		return news->interface == path->interface &&
		       memcmp(news->mac, path->destination, sizeof(news->mac)) == 0;
	case LINK_PATH_LOCAL:
		return !news->is_up &&
		       is_within(&socket->local, news, news->family == AF_INET6 ? 128 : 32);
	case LINK_PATH_REMOTE:
		return is_within(&socket->remote, news, news->prefix);
	default:
		return true;
	}
}

static bool has_way(struct stack *stack, const struct stack_socket *socket)
{
	const int domain = IP_IS_V6_VAL(socket->remote) ? AF_INET6 : AF_INET;
	struct sockaddr_storage local, remote;

	sockaddr_write(domain, &socket->local, socket->local_port, &local);
	sockaddr_write(domain, &socket->remote, socket->remote_port, &remote);
	adopted_name_scope(socket, &local);
	adopted_name_scope(socket, &remote);
	return stack->link->operations->has_way(stack->link, (const struct sockaddr *)&local,
						(const struct sockaddr *)&remote);
}

/*
 * While there is no way at all the kernel could not take the connection back, and would wait for
 * one as the stack does: the next news may be of it.
 */
void host_path_changed(void *context, const struct link_path_news *news)
{
	struct stack *stack = context;
	struct stack_socket *socket;

	atomic_fetch_add(&stack->host.path_changes, 1);
	LIST_FOREACH(socket, &stack->sockets, every) {
		struct adopted *adopted = &socket->adopted;

		if (!socket->is_borrowed || socket->state == SOCKET_GIVEN)
			continue;
		adopted->is_cut = adopted->is_cut || concerns(news, socket);
		if (adopted->is_cut && adopted_reason(socket) < STACK_RETURN_PATH &&
		    has_way(stack, socket))
			adopted_return(socket, STACK_RETURN_PATH);
	}
}

bool host_should_attend(struct stack *stack)
{
	uint64_t now = melin_clock_ns();

	if (!stack->host.borrows || now < stack->host.next_attend)
		return false;
	stack->host.next_attend = now + ATTEND_NS;
	return true;
}
