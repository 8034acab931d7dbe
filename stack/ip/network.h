/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interfaces of an instance, and the neighbours on its link. Not for which of them a connection
 * takes (routing.h).
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
 * The link has another address now, or works again: peers are told. anew: those that were known are
 * forgotten. The lock is held.
 */
void network_link_changed(struct stack *stack, bool anew);

#endif
