/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ingress filter: lengths, options and addresses that lwIP (2.1.3 more than 2.2.1) does not
 * check or not soon enough. What it lets through has complete headers in the first buffer. Not for
 * what needs a connection's state: segment.c.
 */
#include "stack/ip/filter.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lwip/pbuf.h"
#include "lwip/prot/ethernet.h"

#include "common/network_order.h"
#include "stack/instance_parts.h"
#include "stack/ip/routing.h"
#include "stack/ip/segment_filter.h"
#include "stack/ip/sockaddr.h"

#define ARP_SIZE	    28
#define IP4_SIZE	    20
#define IP6_SIZE	    40
#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_TCP	    6
#define PROTOCOL_UDP	    17
#define PROTOCOL_ICMP6	    58

static struct netif *netif_with4(struct stack *stack, const uint8_t *address)
{
	for (unsigned i = 0; i < stack->netif_count; i++) {
		if (!memcmp(&netif_ip4_addr(&stack->netifs[i])->addr, address, 4))
			return &stack->netifs[i];
	}
	return NULL;
}

/* Logged once, because connections with a contested address look like those of a bad network. */
static void note_claim(struct stack *stack, const uint8_t *mac, const uint8_t *address)
{
	if (stack->claim_noted || !memcmp(mac, stack->info.mac, sizeof(stack->info.mac)))
		return;
	stack->claim_noted = true;
	instance_log(
		stack, LOG_LEVEL_WARN,
		"another host, %02x:%02x:%02x:%02x:%02x:%02x, says that it has %u.%u.%u.%u, an "
		"address of the stack's",
		mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], address[0], address[1], address[2],
		address[3]);
}

static struct netif *filter_arp(struct stack *stack, const uint8_t *arp, unsigned size)
{
	struct netif *netif;

	if (size < ARP_SIZE || bytes_read16(arp) != 1 || bytes_read16(arp + 2) != ETHTYPE_IP ||
	    arp[4] != 6 || arp[5] != 4)
		return NULL;
	if (netif_with4(stack, arp + 14)) {
		/*
		 * The sender says that it has our address: to answer, or to believe it, would make
		 * it worse.
		 */
		note_claim(stack, arp + 8, arp + 14);
		return NULL;
	}
	netif = netif_with4(stack, arp + 24);
	return netif ? netif : &stack->netifs[0];
}

static bool is_martian4(const struct stack *stack, const uint8_t *source,
			const uint8_t *destination)
{
	ip_addr_t address;

	if (source[0] == 127 || destination[0] == 127 || source[0] >= 224 || source[0] == 0)
		return true;
	sockaddr_from_bytes(source, false, &address);
	return routing_is_local(stack, &address);
}

static struct netif *filter_ip4(struct stack *stack, uint8_t *ip, unsigned in_buffer, unsigned size)
{
	unsigned header, total;
	struct netif *netif;

	if (in_buffer < IP4_SIZE || ip[0] >> 4 != 4)
		return NULL;
	header = (ip[0] & 15) * 4u;
	total = bytes_read16(ip + 2);
	if (header < IP4_SIZE || header > in_buffer || total < header || total > size)
		return NULL;
	if (bytes_read16(ip + 6) & 0x3fff) /* a fragment: more follow, or an offset */
		return NULL;
	if (is_martian4(stack, ip + 12, ip + 16))
		return NULL;
	netif = netif_with4(stack, ip + 16);
	if (ip[9] == PROTOCOL_TCP) {
		if (!netif || !filter_segment(ip + header, in_buffer - header, total - header))
			return NULL;
	}
	return netif ? netif : &stack->netifs[0];
}

static bool is_martian6(const struct stack *stack, const uint8_t *source,
			const uint8_t *destination)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	ip_addr_t from, to;

	if (source[0] == 0xff || !memcmp(source, mapped, 12) || !memcmp(destination, mapped, 12))
		return true;
	sockaddr_from_bytes(source, true, &from);
	sockaddr_from_bytes(destination, true, &to);
	return routing_is_local(stack, &from) || ip6_addr_isloopback(ip_2_ip6(&to));
}

/*
 * Neighbour solicitations and advertisements, RFC 4861 7.1: every option whole, none of length 0.
 */
static bool filter_neighbour(const uint8_t *icmp, unsigned in_buffer, unsigned size, unsigned hops)
{
	const unsigned fixed = 24;
	unsigned at = fixed;

	if (hops != 255 || size < fixed || size > in_buffer || icmp[1] != 0 || icmp[8] == 0xff)
		return false;
	while (at < size) {
		unsigned length = at + 2 <= size ? icmp[at + 1] * 8u : 0;

		if (length == 0 || at + length > size)
			return false;
		if ((icmp[at] == 1 || icmp[at] == 2) && length != 8) /* Ethernet's addresses */
			return false;
		at += length;
	}
	return true;
}

static bool filter_icmp6(const uint8_t *icmp, unsigned in_buffer, unsigned size, unsigned hops)
{
	if (in_buffer < 8 || size < 8)
		return false;
	switch (icmp[0]) {
	case 133: /* what routers say: addresses, prefixes and the gateway are configured */
	case 134:
	case 137:
		return false;
	case 135:
	case 136:
		return filter_neighbour(icmp, in_buffer, size, hops);
	default:
		return true;
	}
}

static struct netif *filter_ip6(struct stack *stack, uint8_t *ip, unsigned in_buffer, unsigned size)
{
	struct netif *netif = &stack->netifs[0];
	unsigned payload;
	uint8_t *next = ip + IP6_SIZE;

	if (in_buffer < IP6_SIZE || ip[0] >> 4 != 6)
		return NULL;
	payload = bytes_read16(ip + 4);
	if (payload > size - IP6_SIZE || is_martian6(stack, ip + 8, ip + 24))
		return NULL;
	in_buffer -= IP6_SIZE;
	switch (ip[6]) {
	case PROTOCOL_TCP:
		return filter_segment(next, in_buffer, payload) ? netif : NULL;
	case PROTOCOL_ICMP6:
		return filter_icmp6(next, in_buffer, payload, ip[7]) ? netif : NULL;
	case PROTOCOL_UDP:
		return netif;
	case PROTOCOL_HOP_BY_HOP:
		/*
		 * Only multicast listener queries, whose router alert comes in exactly this form.
		 */
		if (in_buffer < 16 || payload < 16 || next[0] != PROTOCOL_ICMP6 || next[1] != 0)
			return NULL;
		return next[8] >= 130 && next[8] <= 132 ? netif : NULL;
	default:
		return NULL; /* further extension headers carry nothing that we serve */
	}
}

struct netif *filter_frame(struct stack *stack, struct pbuf *frame)
{
	uint8_t *bytes = frame->payload;
	unsigned in_buffer = frame->len;
	unsigned size = frame->tot_len;

	if (in_buffer < SIZEOF_ETH_HDR)
		return NULL;
	/* A device in promiscuous mode brings other hosts' frames too. */
	if (!(bytes[0] & 1) && memcmp(bytes, stack->info.mac, sizeof(stack->info.mac)) != 0)
		return NULL;
	bytes += SIZEOF_ETH_HDR;
	in_buffer -= SIZEOF_ETH_HDR;
	size -= SIZEOF_ETH_HDR;
	switch (bytes_read16(bytes - 2)) {
	case ETHTYPE_ARP:
		return filter_arp(stack, bytes, in_buffer);
	case ETHTYPE_IP:
		return filter_ip4(stack, bytes, in_buffer, size);
	case ETHTYPE_IPV6:
		return filter_ip6(stack, bytes, in_buffer, size);
	default:
		return NULL;
	}
}
