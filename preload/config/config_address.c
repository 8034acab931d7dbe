/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MELIN_ADDR and MELIN_GATEWAY: the addresses that a stack may have and the next hops that they
 * allow. Not for the addresses of flow rules (rules.c).
 */
#include "preload/config/config_address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "preload/config/address.h"
#include "preload/config/entry.h"

bool config_parse_address(const struct span *text, struct ip_address *address)
{
	char copy[ADDRESS_TEXT_SIZE];

	if (text->length >= sizeof(copy))
		return false;
	memcpy(copy, text->start, text->length);
	copy[text->length] = '\0';
	return address_parse(copy, address);
}

/* Why no interface can have this address, or NULL. */
static const char *unusable(const struct ip_address *address)
{
	if (address_is_any(address))
		return "is the unspecified address";
	if (address_is_loopback(address))
		return "is a loopback address";
	if (address_is_multicast(address))
		return "is a multicast address";
	if (address_is_mapped(address))
		return "is an IPv4-mapped address; write it as IPv4";
	/* lwIP asks for a link-local neighbour only from a link-local address of its own. */
	if (address->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address->v6))
		return "is a link-local address, which the stack does not use";
	if (address->family == AF_INET && address->bytes[0] == 0)
		return "lies in 0.0.0.0/8, which names no host";
	if (address->family == AF_INET && address->bytes[0] >= 240)
		return "lies in 240.0.0.0/4, which names no host";
	return NULL;
}

/* All bits behind the prefix are zero. */
static bool is_network(const struct ip_address *address)
{
	struct ip_address masked = *address;

	address_mask(&masked);
	return address_equal(&masked, address);
}

static bool is_broadcast(const struct ip_address *address)
{
	uint32_t host;

	if (address->family != AF_INET)
		return false;
	host = UINT32_MAX >> address->prefix;
	return (ntohl(address->v4.s_addr) & host) == host;
}

/* Why this address of a network (its prefix says which) is not a host's, or NULL. */
static const char *not_a_host(const struct ip_address *address)
{
	/* Networks of one or two addresses (RFC 3021, RFC 6164) have only hosts. */
	if (address->prefix + 2u > address_bits(address))
		return NULL;
	if (is_network(address))
		return "is the network itself, not a host in it";
	if (is_broadcast(address))
		return "is the network's broadcast address";
	return NULL;
}

static int parse_own_address(const struct entry *entry, struct ip_address *address)
{
	struct span rest = entry->text;
	const bool has_length = span_find(&rest, '/') != NULL;
	const struct span bare = span_cut(&rest, '/');
	const char *objection;
	unsigned bits, length, least;

	if (!bare.length)
		return entry_mistake(entry, "no address");
	if (!config_parse_address(&bare, address))
		return entry_mistake(entry, "bad address \"%.*s\"", span_quoted(&bare), bare.start);
	bits = address_bits(address);
	/* lwIP finds no IPv6 neighbour outside its own /64, and no network is wider (RFC 4291). */
	least = bits == 32 ? 1 : 64;
	if (!has_length)
		return entry_mistake(entry, "no prefix length (%.*s/%u, for example)",
				     span_quoted(&bare), bare.start, bits == 32 ? 24U : 64U);
	if (!span_number(&rest, bits, &length) || length < least)
		return entry_mistake(entry, "bad prefix length \"%.*s\" (%u to %u)",
				     span_quoted(&rest), rest.start, least, bits);
	address->prefix = (uint8_t)length;
	objection = unusable(address);
	if (!objection)
		objection = not_a_host(address);
	return objection ? entry_mistake(entry, "%s", objection) : 0;
}

int config_parse_addresses(struct stack_config *stack, struct span text, struct reason *reason)
{
	const size_t count = span_pieces(&text, ',');
	struct entry entry = { .reason = reason, .kind = "entry" };
	int error;

	stack->address_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct ip_address address;

		entry.number = i + 1;
		entry.text = span_trim(span_cut(&text, ','));
		if (i == STACK_ADDRESSES_MAX)
			return entry_mistake(&entry, "more than %d addresses", STACK_ADDRESSES_MAX);
		error = parse_own_address(&entry, &address);
		if (error)
			return error;
		for (unsigned k = 0; k < i; k++) {
			if (address_equal(&address, &stack->addresses[k]))
				return entry_mistake(&entry, "the same address as entry %u", k + 1);
		}
		stack->addresses[i] = address;
		stack->address_count++;
	}
	return 0;
}

int config_parse_gateways(struct stack_config *stack, struct span text, struct reason *reason)
{
	const size_t count = span_pieces(&text, ',');
	struct entry entry = { .reason = reason, .kind = "entry" };

	for (size_t i = 0; i < count; i++) {
		struct ip_address address, *gateway;
		const char *objection;

		entry.number = i + 1;
		entry.text = span_trim(span_cut(&text, ','));
		if (span_find(&entry.text, '/'))
			return entry_mistake(&entry, "a gateway has no prefix length");
		if (!config_parse_address(&entry.text, &address))
			return entry_mistake(&entry, "bad address");
		objection = unusable(&address);
		if (objection)
			return entry_mistake(&entry, "%s", objection);
		gateway = address.family == AF_INET ? &stack->gateway4 : &stack->gateway6;
		if (gateway->family)
			return entry_mistake(&entry, "a second gateway for %s",
					     address.family == AF_INET ? "IPv4" : "IPv6");
		*gateway = address;
	}
	return 0;
}

static int check_gateway(const struct stack_config *stack, const struct ip_address *gateway,
			 struct reason *reason)
{
	char text[ADDRESS_TEXT_SIZE];
	bool has_family = false, on_link = false;
	struct ip_address in_network;
	const char *objection;

	if (!gateway->family)
		return 0;
	address_format(gateway, text);
	for (unsigned i = 0; i < stack->address_count; i++) {
		const struct ip_address *own = &stack->addresses[i];

		if (own->family != gateway->family)
			continue;
		has_family = true;
		if (address_equal(own, gateway))
			return reason_set(reason, -EINVAL, "%s is the stack's own address", text);
		if (!address_in_prefix(gateway, own))
			continue;
		on_link = true;
		in_network = *gateway;
		in_network.prefix = own->prefix;
		/* In IPv6 the network's own address is any of its routers (RFC 4291). */
		objection = own->family == AF_INET ? not_a_host(&in_network) : NULL;
		if (objection)
			return reason_set(reason, -EINVAL, "%s %s", text, objection);
	}
	if (!has_family)
		return reason_set(reason, -EINVAL, "%s: MELIN_ADDR has no %s address", text,
				  gateway->family == AF_INET ? "IPv4" : "IPv6");
	if (!on_link)
		return reason_set(reason, -EINVAL,
				  "%s is not on-link: it lies in no prefix of MELIN_ADDR", text);
	return 0;
}

int config_check_gateways(const struct stack_config *stack, struct reason *reason)
{
	const int error = check_gateway(stack, &stack->gateway4, reason);

	return error ? error : check_gateway(stack, &stack->gateway6, reason);
}
