/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which addresses are this instance's, and how it reaches the others, by its configuration alone:
 * networks on the link, gateways, and the hooks by which lwIP asks for an interface and a next hop.
 * The lock is held. Not for the interfaces themselves: network.h.
 */
#ifndef MELIN_ROUTING_H
#define MELIN_ROUTING_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/ip_addr.h"

struct ip_address;
struct netif;
struct stack;

/* Whether it is an address that this process answers for: its own or a loopback one. */
bool routing_is_local(const struct stack *stack, const ip_addr_t *address);
/* Whether a socket may be bound to it: local or a wildcard. */
bool routing_may_bind(const struct stack *stack, const ip_addr_t *address);
/* The address to send from to remote. 0, -EAFNOSUPPORT, -ENETUNREACH. */
int routing_source(const struct stack *stack, const ip_addr_t *remote, ip_addr_t *source);
/* Who gets what is for remote: itself, or a gateway. False: nobody. Not for local addresses. */
bool routing_next_hop(const struct stack *stack, const ip_addr_t *remote, ip_addr_t *hop);
/* The interface that an IPv4 source address belongs to; the first if it is none of ours. */
struct netif *routing_netif4(struct stack *stack, const ip4_addr_t *source);
/* Whether so many bits at the beginning of two addresses are the same. */
bool routing_same_prefix(const uint8_t *one, const uint8_t *other, unsigned bits);

#endif
