/* SPDX-License-Identifier: BSD-3-Clause */
/* Which addresses are ours and how the others are reached: routing.h. */
#include "stack/ip/routing.h"

#include <errno.h>
#include <string.h>

#include "lwip/nd6.h"

#include "stack/instance_parts.h"
#include "stack/ip/sockaddr.h"
#include "stack/lwip/lwip_hooks.h"

/* ---- the configuration ---- */

bool routing_same_prefix(const uint8_t *one, const uint8_t *other, unsigned bits)
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
		    routing_same_prefix(each->bytes, bytes_of(address), each->prefix) &&
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

bool routing_is_local(const struct stack *stack, const ip_addr_t *address)
{
	return is_loopback(address) || own(stack, address);
}

bool routing_may_bind(const struct stack *stack, const ip_addr_t *address)
{
	return ip_addr_isany(address) || routing_is_local(stack, address);
}

static void to_lwip(const struct ip_address *from, ip_addr_t *to)
{
	sockaddr_from_bytes(from->bytes, from->family == AF_INET6, to);
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

bool routing_next_hop(const struct stack *stack, const ip_addr_t *remote, ip_addr_t *hop)
{
	const struct ip_address *gateway;

	*hop = *remote;
	if (on_link(stack, remote))
		return true;
	gateway = gateway_for(stack, remote);
	if (gateway)
		to_lwip(gateway, hop);
	return gateway != NULL;
}

int routing_source(const struct stack *stack, const ip_addr_t *remote, ip_addr_t *source)
{
	const struct ip_address *from;
	const struct ip_address *gateway;
	ip_addr_t hop;

	if (routing_is_local(stack, remote)) {
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

/* ---- what lwIP asks ---- */

struct netif *routing_netif4(struct stack *stack, const ip4_addr_t *source)
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
	if (routing_is_local(stack, &address))
		return &stack->loop_netif;
	return routing_netif4(stack, source);
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
	if (routing_is_local(stack, &address))
		return &stack->loop_netif;
	return stack->netif_count ? &stack->netifs[0] : NULL;
}

/*
 * lwIP would take any /64 for on-link and would look for routers otherwise. Here the configuration
 * alone says what is on-link and where the gateway is.
 */
const ip6_addr_t *melin_next_hop6(struct netif *netif, const ip6_addr_t *destination)
{
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
	ip6_addr_copy(stack->next_hop, *ip_2_ip6(&address));
	ip6_addr_assign_zone(&stack->next_hop, IP6_UNICAST, netif);
	return &stack->next_hop;
}
