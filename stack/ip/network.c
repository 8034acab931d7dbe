/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interfaces and neighbours: network.h. An IPv4 address is an interface of lwIP's (it knows
 * one for each), all IPv6 addresses are on the first; all of them share the one link.
 */
#include "stack/ip/network.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/nd6.h"
#include "lwip/priv/nd6_priv.h"
#include "netif/ethernet.h"

#include "stack/ip/filter.h"
#include "stack/tcp/index.h"
#include "stack/instance_parts.h"
#include "stack/ip/routing.h"
#include "stack/ip/sockaddr.h"
#include "stack/socket_parts.h"

#define DOUBT_GAP_NS (100ull * 1000000)

static err_t transmit(struct netif *netif, struct pbuf *frame)
{
	struct stack *stack = netif->state;

	if (stack->link->operations->transmit(stack->link, frame) != -ENOBUFS)
		return ERR_OK;
	/*
	 * TCP keeps this segment and those behind it, until instance.c finds room and lets it go
	 * on.
	 */
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
	/*
	 * The link computes and checks TCP's checksums, and has checked IPv4 headers. All others
	 * are left to lwIP.
	 */
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

	sockaddr_from_bytes(address->bytes, true, &ip);
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

	if (stack->host.borrows)
		return host_start(stack, reason);
	stack->address_count = config->address_count;
	memcpy(stack->addresses, config->addresses,
	       config->address_count * sizeof(config->addresses[0]));
	stack->gateway4 = config->gateway4;
	stack->gateway6 = config->gateway6;
	if (!stack->link)
		return 0;
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
		stack->counters.rx_drops_foreign++;
		pbuf_free(frame);
		return;
	}
	if (netif->input(frame, netif) != ERR_OK)
		pbuf_free(frame);
}

bool network_is_resolved(struct stack *stack, const ip_addr_t *remote)
{
	ip_addr_t hop;

	if (routing_is_local(stack, remote))
		return true;
	if (!routing_next_hop(stack, remote, &hop))
		return false;
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
	ip_addr_t hop;
	uint64_t now = melin_clock_ns();

	/* A gateway that has gone leaves all connections alike. */
	if (IP_IS_V6(remote) || routing_is_local(stack, remote) || !stack->link ||
	    now - stack->doubted < DOUBT_GAP_NS)
		return;
	if (!routing_next_hop(stack, remote, &hop))
		return;
	stack->doubted = now;
	etharp_request(routing_netif4(stack, ip_2_ip4(local)), ip_2_ip4(&hop));
}

int network_route(struct stack *stack, const struct sockaddr *remote, void **listener)
{
	const struct tcp_pcb_listen *listening;
	const struct stack_socket *socket;
	ip_addr_t address, source;
	u16_t port;
	int status = sockaddr_read(remote, &address, &port);

	if (status)
		return status;
	if (routing_is_local(stack, &address)) {
		listening = melin_index_find_listener(&address, port, &address, 0);
		socket = listening ? listening->ext_args[EXTRA_SOCKET].data : NULL;
		if (!listening)
			status = -ECONNREFUSED;
		if (socket && listener)
			*listener = socket->user;
	} else {
		status = routing_source(stack, &address, &source);
	}
	return status;
}
