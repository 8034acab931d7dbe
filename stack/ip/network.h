/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses, interfaces and routes of an instance. Not for connections.
 */
#ifndef MELIN_NETWORK_H
#define MELIN_NETWORK_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/reason.h"
#include "lwip/ip_addr.h"

struct pbuf;
struct stack;
struct stack_config;

/*
 * Makes the interfaces for the configured addresses. 0, or a negative errno value and the reason.
 */
int network_start(struct stack *stack, const struct stack_config *config, struct reason *reason);

/* One received frame; takes it over. */
void network_input(struct stack *stack, struct pbuf *frame);

/* Whether it is an address that this process answers for: its own or a loopback one. */
bool network_is_local(const struct stack *stack, const ip_addr_t *address);
/* Whether a socket may be bound to it: local or a wildcard. */
bool network_may_bind(const struct stack *stack, const ip_addr_t *address);
/* The address to send from to remote. 0, -EAFNOSUPPORT, -ENETUNREACH. */
int network_source(const struct stack *stack, const ip_addr_t *remote, ip_addr_t *source);
/* Whether the link-layer address of remote's next hop is known (always for local ones). */
bool network_is_resolved(struct stack *stack, const ip_addr_t *remote);
/*
 * Nothing comes back from remote: asks anew who has its next hop's address. lwIP believes an answer
 * to ARP for five minutes; it asks for IPv6 neighbours itself.
 */
void network_doubt(struct stack *stack, const ip_addr_t *local, const ip_addr_t *remote);

/* stack_operations.route; the lock is held. */
int network_route(struct stack *stack, const struct sockaddr *remote, void **listener);

/*
 * Between Linux's socket addresses and lwIP's. IPv4-mapped IPv6 addresses become IPv4; an address
 * of domain AF_INET6 for an IPv4 one is written as mapped. -EAFNOSUPPORT, -EINVAL.
 */
int network_from_sockaddr(const struct sockaddr *name, ip_addr_t *address, u16_t *port);
void network_to_sockaddr(int domain, const ip_addr_t *address, u16_t port,
			 struct sockaddr_storage *name);

/*
 * The link has another address now, or works again: peers are told. anew: those that were known are
 * forgotten. The lock is held.
 */
void network_link_changed(struct stack *stack, bool anew);

#endif
