/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between Linux's socket addresses and lwIP's. IPv4-mapped IPv6 addresses become IPv4; an address
 * of domain AF_INET6 for an IPv4 one is written as mapped.
 */
#ifndef MELIN_SOCKADDR_H
#define MELIN_SOCKADDR_H

#include <stdbool.h>
#include <sys/socket.h>

#include "lwip/ip_addr.h"

/* An address as packets have it. */
void sockaddr_from_bytes(const void *bytes, bool is_v6, ip_addr_t *address);
/* name must be as long as its family says. 0 or -EAFNOSUPPORT. */
int sockaddr_read(const struct sockaddr *name, ip_addr_t *address, u16_t *port);
void sockaddr_write(int domain, const ip_addr_t *address, u16_t port,
		    struct sockaddr_storage *name);

#endif
