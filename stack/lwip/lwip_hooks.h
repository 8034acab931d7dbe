/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hooks that lwIP offers and what melin hangs on them. Not for macros that lwIP does not mean
 * to be changed: lwip_changes.h.
 */
#ifndef MELIN_LWIP_HOOKS_H
#define MELIN_LWIP_HOOKS_H

#include "lwip/err.h"
#include "lwip/ip_addr.h"

struct netif;
struct pbuf;
struct tcp_hdr;
struct tcp_pcb;

/* stack/instance/random.c: RFC 6528 */
u32_t melin_initial_sequence(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
			     u16_t remote_port);
#define LWIP_HOOK_TCP_ISN melin_initial_sequence

/* stack/events/segment.c: what must never reach lwIP's state machine; and what leaves it */
err_t melin_segment_received(struct tcp_pcb *pcb, struct tcp_hdr *header, struct pbuf *payload);
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, optlen, opt1len, opt2, p)                             \
	melin_segment_received((struct tcp_pcb *)(pcb), hdr, p)
u32_t *melin_segment_sent(struct pbuf *segment, struct tcp_hdr *header, const struct tcp_pcb *pcb,
			  u32_t *options);
#define LWIP_HOOK_TCP_OUT_ADD_TCPOPTS melin_segment_sent
u8_t melin_option_length(const struct tcp_pcb *pcb, u8_t others);
#define LWIP_HOOK_TCP_OUT_TCPOPT_LENGTH melin_option_length

/* events/icmp_error.c: lwIP ignores errors, but for "packet too big", which anybody may forge */
int melin_icmp_error(struct pbuf *packet);
int melin_icmp_error6(struct pbuf *packet);
#define LWIP_HOOK_IP4_INPUT(p, netif)                                                              \
	(IPH_PROTO((const struct ip_hdr *)(p)->payload) == IP_PROTO_ICMP && melin_icmp_error(p))
#define LWIP_HOOK_IP6_INPUT(p, netif)                                                              \
	(IP6H_NEXTH((const struct ip6_hdr *)(p)->payload) == IP6_NEXTH_ICMP6 &&                    \
	 melin_icmp_error6(p))

/* stack/ip/routing.c: which interface, which next hop */
struct netif *melin_route4(const ip4_addr_t *source, const ip4_addr_t *destination);
/* LWIP_HOOK_IP4_ROUTE_SRC is set in lwipopts.h */
struct netif *melin_route6(const ip6_addr_t *source, const ip6_addr_t *destination);
#define LWIP_HOOK_IP6_ROUTE melin_route6
const ip6_addr_t *melin_next_hop6(struct netif *netif, const ip6_addr_t *destination);
#define LWIP_HOOK_ND6_GET_GW melin_next_hop6

#endif
