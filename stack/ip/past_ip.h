/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interfaces whose packets go to TCP without lwIP's IP input: the addresses are known to be right
 * already (loop.c, host.c). Not for deciding that.
 */
#ifndef MELIN_PAST_IP_H
#define MELIN_PAST_IP_H

#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"

/*
 * Leave behind for TCP what IP input would: whose packet it is. The header stays where it is until
 * past_ip_input() is done.
 */
void past_ip_begin4(const struct ip_hdr *header);
void past_ip_begin6(struct ip6_hdr *header);

/*
 * After one of these: hands the packet to TCP, behind its first "before" bytes, of which the last
 * "header" ones are IP's. The packet is gone afterwards.
 */
void past_ip_input(struct pbuf *packet, struct netif *netif, u16_t before, u16_t header);

/* A netif's input function, which nobody calls. */
err_t past_ip_never_input(struct pbuf *packet, struct netif *netif);

#endif
