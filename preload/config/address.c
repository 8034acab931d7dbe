/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP addresses as preload handles them: from and to text, out of socket addresses, compared with
 * prefixes. Not for ports or rules, and it opens no sockets.
 */
#include "preload/config/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

unsigned address_bits(const struct ip_address *address)
{
	switch (address->family) {
	case AF_INET:
		return 32;
	case AF_INET6:
		return 128;
	default:
		return 0;
	}
}

int address_from_sockaddr(const struct sockaddr *name, socklen_t length, struct ip_address *address,
			  uint16_t *port)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	in_port_t network_port;
	sa_family_t family;

	if (!name || length < sizeof(family))
		return -EINVAL;
	*address = (struct ip_address){ 0 };
	/* Copied out, since programs pass buffers of any alignment. */
	memcpy(&family, name, sizeof(family));
	switch (family) {
	case AF_INET:
		if (length < sizeof(v4))
			return -EINVAL;
		memcpy(&v4, name, sizeof(v4));
		address->family = AF_INET;
		address->v4 = v4.sin_addr;
		network_port = v4.sin_port;
		break;
	case AF_INET6:
		/* Linux takes the older form without a scope id too (SIN6_LEN_RFC2133). */
		if (length < offsetof(struct sockaddr_in6, sin6_scope_id))
			return -EINVAL;
		memcpy(&v6, name, offsetof(struct sockaddr_in6, sin6_scope_id));
		if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
			address->family = AF_INET;
			memcpy(&address->v4, &v6.sin6_addr.s6_addr[12], sizeof(address->v4));
		} else {
			address->family = AF_INET6;
			address->v6 = v6.sin6_addr;
		}
		network_port = v6.sin6_port;
		break;
	default:
		return -EAFNOSUPPORT;
	}
	address->prefix = (uint8_t)address_bits(address);
	if (port)
		*port = ntohs(network_port);
	return 0;
}

bool address_parse(const char *text, struct ip_address *address)
{
	*address = (struct ip_address){ 0 };
	if (inet_pton(AF_INET, text, &address->v4) == 1)
		address->family = AF_INET;
	else if (inet_pton(AF_INET6, text, &address->v6) == 1)
		address->family = AF_INET6;
	else
		return false;
	address->prefix = (uint8_t)address_bits(address);
	return true;
}

const char *address_format(const struct ip_address *address, char text[ADDRESS_TEXT_SIZE])
{
	if (!address->family ||
	    !inet_ntop(address->family, address->bytes, text, ADDRESS_TEXT_SIZE))
		memcpy(text, "*", 2);
	return text;
}

const char *address_format_prefix(const struct ip_address *address, char text[ADDRESS_TEXT_SIZE])
{
	size_t used = strlen(address_format(address, text));

	if (address->family)
		snprintf(text + used, ADDRESS_TEXT_SIZE - used, "/%u", address->prefix);
	return text;
}

bool address_is_loopback(const struct ip_address *address)
{
	if (address->family == AF_INET)
		return address->bytes[0] == 127;
	return address->family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->v6);
}

bool address_is_any(const struct ip_address *address)
{
	if (address->family == AF_INET)
		return address->v4.s_addr == INADDR_ANY;
	return address->family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6);
}

bool address_is_multicast(const struct ip_address *address)
{
	if (address->family == AF_INET)
		return (address->bytes[0] & 0xf0) == 0xe0;
	return address->family == AF_INET6 && IN6_IS_ADDR_MULTICAST(&address->v6);
}

bool address_is_mapped(const struct ip_address *address)
{
	return address->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6);
}

bool address_equal(const struct ip_address *a, const struct ip_address *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, address_bits(a) / 8);
}

bool address_in_prefix(const struct ip_address *address, const struct ip_address *prefix)
{
	unsigned whole = prefix->prefix / 8, rest = prefix->prefix % 8;
	uint8_t mask;

	if (address->family != prefix->family || prefix->prefix > address_bits(prefix))
		return false;
	if (memcmp(address->bytes, prefix->bytes, whole) != 0)
		return false;
	if (!rest)
		return true;
	mask = (uint8_t)(0xff << (8 - rest));
	return !((address->bytes[whole] ^ prefix->bytes[whole]) & mask);
}

void address_mask(struct ip_address *address)
{
	unsigned size = address_bits(address) / 8;
	unsigned whole = address->prefix / 8, rest = address->prefix % 8;

	if (whole >= size)
		return;
	address->bytes[whole] &= (uint8_t)(0xff00 >> rest);
	memset(address->bytes + whole + 1, 0, size - whole - 1);
}
