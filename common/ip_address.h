/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one type that all three parts share: an IP address with an optional prefix length.
 * Plain C, so that it can cross both seams. Not for socket addresses with ports: those are
 * struct sockaddr, as everywhere in Linux.
 */
#ifndef MELIN_IP_ADDRESS_H
#define MELIN_IP_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>

struct ip_address {
	sa_family_t family; /* AF_INET, AF_INET6, or 0: not set */
	uint8_t prefix;	    /* on-link prefix length in bits: 0..32 or 0..128 */
	union {
		struct in_addr v4;
		struct in6_addr v6;
		uint8_t bytes[16]; /* network order; IPv4 in the first four */
	};
};

#endif
