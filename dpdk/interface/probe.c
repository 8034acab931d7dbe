/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See interface.h: whether another host on a Linux interface's network has one of the stack's
 * addresses. It is asked as RFC 5227 and RFC 4862 ask it, through sockets of the kernel's, before
 * there is a stack; the answers are looked for when DPDK has started, which takes longer than they
 * do. Not for hosts that come later.
 */
#include "dpdk/interface/interface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/internet_checksum.h"
#include "common/own_descriptor.h"

enum { PROBE_ARP, PROBE_IPV6 };

/* The answers that are looked at: more is a network that talks to itself. */
#define ANSWERS_MAX 1000

struct solicitation {
	struct ip6_hdr ip;
	struct nd_neighbor_solicit body;
} __attribute__((packed));

static int open_probe(const struct interface *interface, uint16_t protocol)
{
	const struct sockaddr_ll here = { .sll_family = AF_PACKET,
					  .sll_protocol = htons(protocol),
					  .sll_ifindex = interface->ifindex };
	/* Bound before it gets a protocol: it never sees other interfaces' frames. */
	int probe = own_descriptor(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

	if (probe >= 0 && bind(probe, (const struct sockaddr *)&here, sizeof(here)) < 0) {
		own_descriptor_close(probe);
		return -1;
	}
	return probe;
}

static void send_to(int probe, const struct interface *interface, uint16_t protocol,
		    const uint8_t *mac, const void *packet, size_t size)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(protocol),
				  .sll_ifindex = interface->ifindex,
				  .sll_halen = ETH_ALEN };

	memcpy(to.sll_addr, mac, ETH_ALEN);
	sendto(probe, packet, size, 0, (const struct sockaddr *)&to, sizeof(to));
}

static void ask4(const struct interface *interface, const struct ip_address *address)
{
	static const uint8_t everybody[ETH_ALEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct ether_arp arp = { .arp_hrd = htons(ARPHRD_ETHER),
				 .arp_pro = htons(ETHERTYPE_IP),
				 .arp_hln = ETH_ALEN,
				 .arp_pln = 4,
				 .arp_op = htons(ARPOP_REQUEST) };

	/*
	 * The question comes from the unspecified address (RFC 5227 2.1.1), so that no host notes
	 * it in its ARP table.
	 */
	memcpy(arp.arp_sha, interface->mac, ETH_ALEN);
	memcpy(arp.arp_tpa, &address->v4, 4);
	send_to(interface->probes[PROBE_ARP], interface, ETHERTYPE_ARP, everybody, &arp,
		sizeof(arp));
}

static uint16_t checksum6(const struct solicitation *packet)
{
	const size_t size = sizeof(packet->body);
	const uint64_t sum = htons((uint16_t)size) + htons(IPPROTO_ICMPV6);

	/* The addresses and the message lie one behind the other. */
	return (uint16_t)~checksum_fold(
		checksum_add(sum, &packet->ip.ip6_src, 2 * sizeof(struct in6_addr) + size));
}

static void ask6(const struct interface *interface, const struct ip_address *address)
{
	struct solicitation packet = { 0 };
	const uint8_t *last = &address->v6.s6_addr[13];
	uint8_t group[ETH_ALEN] = { 0x33, 0x33, 0xff, last[0], last[1], last[2] };

	packet.ip.ip6_vfc = 6 << 4;
	packet.ip.ip6_plen = htons(sizeof(packet.body));
	packet.ip.ip6_nxt = IPPROTO_ICMPV6;
	packet.ip.ip6_hlim = 255;
	inet_pton(AF_INET6, "ff02::1:ff00:0", &packet.ip.ip6_dst);
	memcpy(&packet.ip.ip6_dst.s6_addr[13], last, 3);
	packet.body.nd_ns_type = ND_NEIGHBOR_SOLICIT;
	packet.body.nd_ns_target = address->v6;
	packet.body.nd_ns_cksum = checksum6(&packet);
	send_to(interface->probes[PROBE_IPV6], interface, ETHERTYPE_IPV6, group, &packet,
		sizeof(packet));
}

void interface_probe(struct interface *interface, const struct stack_config *config)
{
	/* Through a VLAN's interface the kernel would have to send, if there is one. */
	if (config->vlan)
		return;
	for (unsigned i = 0; i < config->address_count; i++) {
		const struct ip_address *address = &config->addresses[i];
		const bool is_v6 = address->family == AF_INET6;
		int *probe = &interface->probes[is_v6 ? PROBE_IPV6 : PROBE_ARP];

		if (*probe < 0)
			*probe = open_probe(interface, is_v6 ? ETHERTYPE_IPV6 : ETHERTYPE_ARP);
		if (*probe < 0)
			continue;
		if (is_v6)
			ask6(interface, address);
		else
			ask4(interface, address);
	}
}

/* The address that a packet's sender says it has, or NULL. */
static const void *claimed(const void *packet, size_t size, bool is_v6)
{
	const struct ether_arp *arp = packet;
	const struct ip6_hdr *ip = packet;
	const struct nd_neighbor_advert *advert = (const void *)(ip + 1);

	if (!is_v6)
		return size >= sizeof(*arp) ? arp->arp_spa : NULL;
	if (size < sizeof(*ip) + sizeof(*advert) || ip->ip6_nxt != IPPROTO_ICMPV6 ||
	    advert->nd_na_type != ND_NEIGHBOR_ADVERT)
		return NULL;
	return &advert->nd_na_target;
}

static int look_at(const struct interface *interface, const struct stack_config *config, bool is_v6,
		   const struct sockaddr_ll *from, const void *address, struct reason *reason)
{
	const uint8_t *mac = from->sll_addr;
	char text[INET6_ADDRSTRLEN];

	if (!address || from->sll_halen != ETH_ALEN || memcmp(mac, interface->mac, ETH_ALEN) == 0)
		return 0;
	for (unsigned i = 0; i < config->address_count; i++) {
		const struct ip_address *ours = &config->addresses[i];

		if (ours->family != (is_v6 ? AF_INET6 : AF_INET) ||
		    memcmp(&ours->bytes, address, is_v6 ? 16 : 4) != 0)
			continue;
		return reason_set(
			reason, -EADDRINUSE,
			"another host, %02x:%02x:%02x:%02x:%02x:%02x, has %s: give the stack an "
			"address of its own",
			mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
			inet_ntop(ours->family, address, text, sizeof(text)));
	}
	return 0;
}

int interface_probe_end(struct interface *interface, const struct stack_config *config,
			struct reason *reason)
{
	int error = 0;

	for (unsigned i = 0; i < 2; i++) {
		const bool is_v6 = i == PROBE_IPV6;
		struct sockaddr_ll from = { 0 };
		socklen_t length = sizeof(from);
		_Alignas(8) uint8_t packet[128];
		ssize_t size;

		for (unsigned answers = 0; interface->probes[i] >= 0 && answers < ANSWERS_MAX;
		     answers++) {
			size = recvfrom(interface->probes[i], packet, sizeof(packet), 0,
					(struct sockaddr *)&from, &length);
			if (size < 0)
				break;
			if (!error)
				error = look_at(interface, config, is_v6, &from,
						claimed(packet, (size_t)size, is_v6), reason);
		}
		own_descriptor_close(interface->probes[i]);
		interface->probes[i] = -1;
	}
	return error;
}
