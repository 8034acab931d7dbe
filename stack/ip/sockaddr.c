/* SPDX-License-Identifier: BSD-3-Clause */
/* Between Linux's socket addresses and lwIP's: sockaddr.h. */
#include "stack/ip/sockaddr.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "stack/instance_parts.h"

int sockaddr_read(const struct sockaddr *name, ip_addr_t *address, u16_t *port)
{
	if (name->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, name, sizeof(in));
		sockaddr_from_bytes(&in.sin_addr, false, address);
		*port = ntohs(in.sin_port);
		return 0;
	}
	if (name->sa_family == AF_INET6) {
		struct sockaddr_in6 in;

		memcpy(&in, name, sizeof(in));
		*port = ntohs(in.sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
			sockaddr_from_bytes(in.sin6_addr.s6_addr + 12, false, address);
			return 0;
		}
		sockaddr_from_bytes(&in.sin6_addr, true, address);
		if (melin_instance && melin_instance->netif_count)
			ip6_addr_assign_zone(ip_2_ip6(address), IP6_UNICAST,
					     &melin_instance->netifs[0]);
		return 0;
	}
	return -EAFNOSUPPORT;
}

void sockaddr_write(int domain, const ip_addr_t *address, u16_t port, struct sockaddr_storage *name)
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
