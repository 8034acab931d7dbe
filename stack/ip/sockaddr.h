/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between Linux's socket addresses and lwIP's. IPv4-mapped IPv6 addresses become IPv4; an address
 * of domain AF_INET6 for an IPv4 one is written as mapped.
 */
#ifndef MELIN_SOCKADDR_H
#define MELIN_SOCKADDR_H

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "lwip/ip_addr.h"

/* An address as packets have it. */
static inline void sockaddr_from_bytes(const void *bytes, bool is_v6, ip_addr_t *address)
{
	memset(address, 0, sizeof(*address));
	if (is_v6)
		memcpy(ip_2_ip6(address)->addr, bytes, 16);
	else
		memcpy(&ip_2_ip4(address)->addr, bytes, 4);
	IP_SET_TYPE(address, is_v6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
}

/* name must be as long as its family says. 0 or -EAFNOSUPPORT. */
int sockaddr_read(const struct sockaddr *name, ip_addr_t *address, u16_t *port);
void sockaddr_write(int domain, const ip_addr_t *address, u16_t port,
		    struct sockaddr_storage *name);

#endif
