/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses, interfaces and routes: network.h. An IPv4 address is an interface of lwIP's (it knows
 * one for each), all IPv6 addresses are on the first; all of them share the one link.
 */
#include "stack/ip/network.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "netif/ethernet.h"

#include "stack/instance/clock.h"
#include "stack/ip/filter.h"
#include "stack/tcp/index.h"
#include "stack/instance/instance.h"
#include "stack/lwip/lwip_hooks.h"
#include "stack/socket/socket.h"

#define DOUBT_GAP_NS (100ull * 1000000)

static bool same_prefix(const uint8_t *one, const uint8_t *other, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(one, other, bits / 8) != 0)
		return false;
	return rest == 0 || ((one[bits / 8] ^ other[bits / 8]) >> (8 - rest)) == 0;
}

static const uint8_t *bytes_of(const ip_addr_t *address)
{
	if (IP_IS_V6(address))
		return (const uint8_t *)ip_2_ip6(address)->addr;
	return (const uint8_t *)&ip_2_ip4(address)->addr;
}

static bool same_family(const struct ip_address *one, const ip_addr_t *other)
{
	return one->family == (IP_IS_V6(other) ? AF_INET6 : AF_INET);
}

/* The configured address that is exactly this one, or NULL. */
static const struct ip_address *own(const struct stack *stack, const ip_addr_t *address)
{
	size_t size = IP_IS_V6(address) ? 16 : 4;

	for (unsigned i = 0; i < stack->address_count; i++) {
		const struct ip_address *each = &stack->addresses[i];

		if (same_family(each, address) && !memcmp(each->bytes, bytes_of(address), size))
			return each;
	}
	return NULL;
}

/* The configured address whose network this one is in, the longest prefix first; or NULL. */
static const struct ip_address *on_link(const struct stack *stack, const ip_addr_t *address)
{
	const struct ip_address *best = NULL;

	for (unsigned i = 0; i < stack->address_count; i++) {
		const struct ip_address *each = &stack->addresses[i];

		if (same_family(each, address) &&
		    same_prefix(each->bytes, bytes_of(address), each->prefix) &&
		    (!best || each->prefix > best->prefix))
			best = each;
	}
	return best;
}

static bool is_loopback(const ip_addr_t *address)
{
	if (IP_IS_V6(address))
		return ip6_addr_isloopback(ip_2_ip6(address));
	return (ip4_addr_get_u32(ip_2_ip4(address)) & PP_HTONL(0xff000000)) == PP_HTONL(0x7f000000);
}

bool network_is_local(const struct stack *stack, const ip_addr_t *address)
{
	return is_loopback(address) || own(stack, address);
}

bool network_may_bind(const struct stack *stack, const ip_addr_t *address)
{
	return ip_addr_isany(address) || network_is_local(stack, address);
}

static void to_lwip(const struct ip_address *from, ip_addr_t *to)
{
	memset(to, 0, sizeof(*to));
	if (from->family == AF_INET6) {
		memcpy(ip_2_ip6(to)->addr, from->bytes, 16);
		IP_SET_TYPE(to, IPADDR_TYPE_V6);
	} else {
		memcpy(&ip_2_ip4(to)->addr, from->bytes, 4);
		IP_SET_TYPE(to, IPADDR_TYPE_V4);
	}
}

static const struct ip_address *gateway_for(const struct stack *stack, const ip_addr_t *remote)
{
	const struct ip_address *gateway = IP_IS_V6(remote) ? &stack->gateway6 : &stack->gateway4;

	return gateway->family ? gateway : NULL;
}

static const struct ip_address *first_of_family(const struct stack *stack, const ip_addr_t *other)
{
	for (unsigned i = 0; i < stack->address_count; i++) {
		if (same_family(&stack->addresses[i], other))
			return &stack->addresses[i];
	}
	return NULL;
}

int network_source(const struct stack *stack, const ip_addr_t *remote, ip_addr_t *source)
{
	const struct ip_address *from;
	const struct ip_address *gateway;
	ip_addr_t hop;

	if (network_is_local(stack, remote)) {
		*source = *remote;
		return 0;
	}
	if (!stack->link)
		return -ENETUNREACH;
	if (!first_of_family(stack, remote))
		return -EAFNOSUPPORT;
	from = on_link(stack, remote);
	gateway = gateway_for(stack, remote);
	if (!from && gateway) {
		to_lwip(gateway, &hop);
		from = on_link(stack, &hop);
		if (!from && IP_IS_V6_VAL(hop) && ip6_addr_islinklocal(ip_2_ip6(&hop)))
			from = first_of_family(stack, remote);
	}
	if (!from)
		return -ENETUNREACH;
	to_lwip(from, source);
	return 0;
}

/* The interface that an IPv4 source address belongs to; the first if it is none of ours. */
static struct netif *netif_of4(struct stack *stack, const ip4_addr_t *source)
{
	for (unsigned i = 0; source && i < stack->netif_count; i++) {
		if (ip4_addr_cmp(netif_ip4_addr(&stack->netifs[i]), source))
			return &stack->netifs[i];
	}
	return stack->netif_count ? &stack->netifs[0] : NULL;
}

struct netif *melin_route4(const ip4_addr_t *source, const ip4_addr_t *destination)
{
	struct stack *stack = melin_instance;
	ip_addr_t address;

	if (stack->swallowing)
		return &stack->silent_netif;
	if (stack->host.borrows)
		return &stack->host.netif;
	ip_addr_copy_from_ip4(address, *destination);
	if (network_is_local(stack, &address))
		return &stack->loop_netif;
	return netif_of4(stack, source);
}

struct netif *melin_route6(const ip6_addr_t *source, const ip6_addr_t *destination)
{
	struct stack *stack = melin_instance;
	ip_addr_t address;

	(void)source;
	if (stack->swallowing)
		return &stack->silent_netif;
	if (stack->host.borrows)
		return &stack->host.netif;
	ip_addr_copy_from_ip6(address, *destination);
	if (network_is_local(stack, &address))
		return &stack->loop_netif;
	return stack->netif_count ? &stack->netifs[0] : NULL;
}

/* lwIP would take any /64 for on-link and look for routers otherwise; ours is the configuration. */
const ip6_addr_t *melin_next_hop6(struct netif *netif, const ip6_addr_t *destination)
{
	static ip6_addr_t hop;
	struct stack *stack = melin_instance;
	const struct ip_address *gateway;
	ip_addr_t address;

	ip_addr_copy_from_ip6(address, *destination);
	if (on_link(stack, &address))
		return destination;
	gateway = gateway_for(stack, &address);
	if (!gateway)
		return NULL;
	to_lwip(gateway, &address);
	ip6_addr_copy(hop, *ip_2_ip6(&address));
	ip6_addr_assign_zone(&hop, IP6_UNICAST, netif);
	return &hop;
}

static err_t transmit(struct netif *netif, struct pbuf *frame)
{
	struct stack *stack = netif->state;

	if (stack->link->operations->transmit(stack->link, frame) != -ENOBUFS)
		return ERR_OK;
	/* TCP keeps the segment and those behind it; instance.c lets it go on. */
	stack->transmit_failed = true;
	return ERR_BUF;
}

static err_t start_netif(struct netif *netif)
{
	struct stack *stack = netif->state;

	netif->name[0] = 'm';
	netif->name[1] = 'e';
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = transmit;
	netif->mtu = stack->info.mtu;
	netif->hwaddr_len = sizeof(stack->info.mac);
	memcpy(netif->hwaddr, stack->info.mac, sizeof(stack->info.mac));
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
		       NETIF_FLAG_LINK_UP | NETIF_FLAG_MLD6;
	/* The link does TCP's both ways and has checked IPv4 headers; ICMP is nobody else's. */
	NETIF_SET_CHECKSUM_CTRL(
		netif, NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_UDP | NETIF_CHECKSUM_GEN_ICMP |
			       NETIF_CHECKSUM_GEN_ICMP6 | NETIF_CHECKSUM_CHECK_UDP |
			       NETIF_CHECKSUM_CHECK_ICMP | NETIF_CHECKSUM_CHECK_ICMP6);
	return ERR_OK;
}

void network_link_changed(struct stack *stack, bool anew)
{
	for (unsigned i = 0; i < stack->netif_count; i++) {
		struct netif *netif = &stack->netifs[i];

		memcpy(netif->hwaddr, stack->info.mac, sizeof(stack->info.mac));
		netif->mtu = stack->info.mtu;
		if (anew)
			nd6_cleanup_netif(netif);
		netif_set_link_down(netif); /* forgets ARP's neighbours */
		netif_set_link_up(netif);   /* announces the addresses */
	}
}

static int add_netif(struct stack *stack, const struct ip_address *address)
{
	struct netif *netif = &stack->netifs[stack->netif_count];
	ip4_addr_t ip, mask, gateway;

	ip4_addr_set_zero(&ip);
	ip4_addr_set_zero(&mask);
	ip4_addr_set_zero(&gateway);
	if (address) {
		memcpy(&ip.addr, address->bytes, 4);
		mask.addr = address->prefix ? htonl(0xffffffffu << (32 - address->prefix)) : 0;
	}
	if (stack->gateway4.family)
		memcpy(&gateway.addr, stack->gateway4.bytes, 4);
	if (!netif_add(netif, &ip, &mask, &gateway, stack, start_netif, ethernet_input))
		return -ENOMEM;
	stack->netif_count++;
	if (stack->netif_count == 1)
		netif_set_default(netif);
	netif_set_up(netif); /* announces the address by ARP */
	return 0;
}

static void add_address6(struct stack *stack, const struct ip_address *address, s8_t slot)
{
	struct netif *netif = &stack->netifs[0];
	ip_addr_t ip;

	to_lwip(address, &ip);
	ip6_addr_assign_zone(ip_2_ip6(&ip), IP6_UNICAST, netif);
	netif_ip6_addr_set(netif, slot, ip_2_ip6(&ip));
	/* Not static to lwIP: it would believe that the whole /64 is on-link. */
	netif_ip6_addr_set_valid_life(netif, slot, IP6_ADDR_LIFE_INFINITE);
	netif_ip6_addr_set_pref_life(netif, slot, IP6_ADDR_LIFE_INFINITE);
	netif_ip6_addr_set_state(netif, slot, IP6_ADDR_PREFERRED);
}

int network_start(struct stack *stack, const struct stack_config *config, struct reason *reason)
{
	s8_t slot = 0;

	stack->address_count = config->address_count;
	memcpy(stack->addresses, config->addresses,
	       config->address_count * sizeof(config->addresses[0]));
	stack->gateway4 = config->gateway4;
	stack->gateway6 = config->gateway6;
	if (!stack->link)
		return 0;
	if (stack->host.borrows)
		return host_start(stack, reason);
	for (unsigned i = 0; i < config->address_count; i++) {
		if (config->addresses[i].family == AF_INET &&
		    add_netif(stack, &config->addresses[i]))
			return reason_set(reason, -ENOMEM, "no memory for another address");
	}
	if (stack->netif_count == 0 && add_netif(stack, NULL))
		return reason_set(reason, -ENOMEM, "no memory for an interface");
	for (unsigned i = 0; i < config->address_count; i++) {
		if (config->addresses[i].family == AF_INET6)
			add_address6(stack, &config->addresses[i], slot++);
	}
	return 0;
}

void network_input(struct stack *stack, struct pbuf *frame)
{
	struct netif *netif;

	if (stack->host.borrows) {
		host_input(stack, frame);
		return;
	}
	netif = filter_frame(stack, frame);
	if (!netif) {
		stack->counters.rx_drops++;
		pbuf_free(frame);
		return;
	}
	if (netif->input(frame, netif) != ERR_OK)
		pbuf_free(frame);
}

bool network_is_resolved(struct stack *stack, const ip_addr_t *remote)
{
	const struct ip_address *gateway;
	ip_addr_t hop = *remote;

	if (network_is_local(stack, remote))
		return true;
	if (!on_link(stack, remote)) {
		gateway = gateway_for(stack, remote);
		if (!gateway)
			return false;
		to_lwip(gateway, &hop);
	}
	if (IP_IS_V6(&hop)) {
		for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++) {
			if (ip6_addr_cmp_zoneless(&neighbor_cache[i].next_hop_address,
						  ip_2_ip6(&hop)))
				return neighbor_cache[i].state > ND6_INCOMPLETE;
		}
		return false;
	}
	for (unsigned i = 0; i < stack->netif_count; i++) {
		struct eth_addr *hardware;
		const ip4_addr_t *found;

		if (etharp_find_addr(&stack->netifs[i], ip_2_ip4(&hop), &hardware, &found) >= 0)
			return true;
	}
	return false;
}

void network_doubt(struct stack *stack, const ip_addr_t *local, const ip_addr_t *remote)
{
	const struct ip_address *gateway;
	ip_addr_t hop = *remote;
	uint64_t now = melin_clock_ns();

	/* A gateway that has gone leaves all connections alike. */
	if (IP_IS_V6(remote) || network_is_local(stack, remote) || !stack->link ||
	    now - stack->doubted < DOUBT_GAP_NS)
		return;
	if (!on_link(stack, remote)) {
		gateway = gateway_for(stack, remote);
		if (!gateway)
			return;
		to_lwip(gateway, &hop);
	}
	stack->doubted = now;
	etharp_request(netif_of4(stack, ip_2_ip4(local)), ip_2_ip4(&hop));
}

int network_from_sockaddr(const struct sockaddr *name, ip_addr_t *address, u16_t *port)
{
	memset(address, 0, sizeof(*address));
	if (name->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, name, sizeof(in));
		ip_addr_set_ip4_u32(address, in.sin_addr.s_addr);
		*port = ntohs(in.sin_port);
		return 0;
	}
	if (name->sa_family == AF_INET6) {
		struct sockaddr_in6 in;

		memcpy(&in, name, sizeof(in));
		*port = ntohs(in.sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
			u32_t ip;

			memcpy(&ip, in.sin6_addr.s6_addr + 12, sizeof(ip));
			ip_addr_set_ip4_u32(address, ip);
			return 0;
		}
		memcpy(ip_2_ip6(address)->addr, &in.sin6_addr, 16);
		IP_SET_TYPE(address, IPADDR_TYPE_V6);
		if (melin_instance && melin_instance->netif_count)
			ip6_addr_assign_zone(ip_2_ip6(address), IP6_UNICAST,
					     &melin_instance->netifs[0]);
		return 0;
	}
	return -EAFNOSUPPORT;
}

void network_to_sockaddr(int domain, const ip_addr_t *address, u16_t port,
			 struct sockaddr_storage *name)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memset(name, 0, sizeof(*name));
	if (domain == AF_INET) {
		in.sin_addr.s_addr = ip4_addr_get_u32(ip_2_ip4(address));
		memcpy(name, &in, sizeof(in));
		return;
	}
	if (IP_IS_V6_VAL(*address)) {
		memcpy(&in6.sin6_addr, ip_2_ip6(address)->addr, 16);
	} else if (IP_IS_V4_VAL(*address) && !ip4_addr_isany_val(*ip_2_ip4(address))) {
		in6.sin6_addr.s6_addr[10] = 0xff;
		in6.sin6_addr.s6_addr[11] = 0xff;
		memcpy(in6.sin6_addr.s6_addr + 12, &ip_2_ip4(address)->addr, 4);
	}
	memcpy(name, &in6, sizeof(in6));
}

int network_route(struct stack *stack, const struct sockaddr *remote, void **listener)
{
	const struct tcp_pcb_listen *listening;
	const struct stack_socket *socket;
	ip_addr_t address, source;
	u16_t port;
	int status = network_from_sockaddr(remote, &address, &port);

	if (status)
		return status;
	if (network_is_local(stack, &address)) {
		listening = melin_index_find_listener(&address, port, &address, 0);
		socket = listening ? listening->ext_args[EXTRA_SOCKET].data : NULL;
		if (!listening)
			status = -ECONNREFUSED;
		if (socket && listener)
			*listener = socket->user;
	} else {
		status = network_source(stack, &address, &source);
	}
	return status;
}
