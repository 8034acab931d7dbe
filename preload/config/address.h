/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP addresses as preload handles them: from and to text, out of socket addresses, compared with
 * prefixes. No ports and no rules (rules.h), no sockets.
 */
#ifndef MELIN_PRELOAD_ADDRESS_H
#define MELIN_PRELOAD_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/ip_address.h"

/* The longest address with "/128" and the terminating zero: INET6_ADDRSTRLEN + 4. */
#define ADDRESS_TEXT_SIZE 50

/*
 * Takes address and port (host order) out of an AF_INET or AF_INET6 socket address; an IPv4-mapped
 * IPv6 address becomes the IPv4 address. The prefix is set to the full length. port may be NULL.
 * 0, -EINVAL (too short) or -EAFNOSUPPORT.
 */
int address_from_sockaddr(const struct sockaddr *name, socklen_t length, struct ip_address *address,
			  uint16_t *port);

/* An address without a prefix, IPv6 without brackets; the prefix is set to the full length. */
bool address_parse(const char *text, struct ip_address *address);

/* The address alone, as inet_ntop(3) writes it. Returns text. */
const char *address_format(const struct ip_address *address, char text[ADDRESS_TEXT_SIZE]);
/* With its prefix: "198.18.0.0/24". Returns text. */
const char *address_format_prefix(const struct ip_address *address, char text[ADDRESS_TEXT_SIZE]);

/* 32 or 128; 0 for an address that is not set. */
unsigned address_bits(const struct ip_address *address);

bool address_is_loopback(const struct ip_address *address); /* 127.0.0.0/8, ::1 */
bool address_is_any(const struct ip_address *address);	    /* 0.0.0.0, :: */
bool address_is_multicast(const struct ip_address *address);
bool address_is_mapped(const struct ip_address *address); /* ::ffff:0:0/96 */

/* Same family and address; prefixes are not compared. */
bool address_equal(const struct ip_address *a, const struct ip_address *b);

/* Whether address lies in prefix->address/prefix->prefix. Never for different families. */
bool address_in_prefix(const struct ip_address *address, const struct ip_address *prefix);

/* Sets the bits behind the prefix to zero. */
void address_mask(struct ip_address *address);

#endif
