/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lwIP's options for melin, each with its reason, where a default of lwIP's opt.h would not do or
 * might change. Not for changes that no option can express: those are in lwip_changes.h, which
 * every file of lwIP sees too.
 */
#ifndef MELIN_LWIPOPTS_H
#define MELIN_LWIPOPTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/internet_checksum.h"
#include "stack/instance/allocation.h"

/* ---- system: raw API only, one lock of ours around every entry ---- */
#define NO_SYS		      1 /* no mailboxes, no threads of lwIP's own */
#define SYS_LIGHTWEIGHT_PROT  0 /* the instance's lock is held wherever lwIP runs */
#define LWIP_SOCKET	      0
#define LWIP_NETCONN	      0
#define LWIP_TIMERS	      0 /* events/timers.c calls them: it knows when none is due */
#define LWIP_ERRNO_STDINCLUDE 1

/* ---- memory: as many connections as there is memory, no fixed pools ---- */
/*
 * stack/instance/allocation.c keeps full segments and counts. 2.1.3 has other names for the same.
 */
#if __has_include("lwip/acd.h")
#define MEM_CUSTOM_ALLOCATOR 1
#else
#define MEM_LIBC_MALLOC 1
#endif
#define MEM_CUSTOM_MALLOC melin_memory_allocate
#define MEM_CUSTOM_CALLOC melin_memory_allocate_zeroed
#define MEM_CUSTOM_FREE	  melin_memory_free
#define mem_clib_malloc	  MEM_CUSTOM_MALLOC
#define mem_clib_calloc	  MEM_CUSTOM_CALLOC
#define mem_clib_free	  MEM_CUSTOM_FREE
#define MEMP_MEM_MALLOC	  1 /* pools count in 16 bits: 65,536 connections would wrap to none */
#define MEM_ALIGNMENT	  8

/* ---- packet buffers ---- */
#define LWIP_SUPPORT_CUSTOM_PBUF 1	  /* received frames stay in the device's buffers */
#define LWIP_PBUF_REF_T		 uint16_t /* references can overflow the default of 8 bits */
/* Of a TCP segment: whether it has left more than once, and when it did last; see recovery.h. */
#define LWIP_PBUF_CUSTOM_DATA                                                                      \
	uint8_t sent_again;                                                                        \
	uint32_t sent_us;
#define PBUF_POOL_BUFSIZE 2048 /* a standard frame; only with MEMP_MEM_MALLOC: no pool */

/* ---- links ---- */
#define LWIP_ETHERNET		     1
#define LWIP_ARP		     1
#define ARP_TABLE_SIZE		     512 /* on-link peers that stay resolved during a scan */
#define ARP_QUEUEING		     1	 /* a client opens many connections to a new peer at once */
#define ARP_QUEUE_LEN		     512 /* SYNs, as Linux's 208 KB hold; the oldest go first */
#define ETH_PAD_SIZE		     0	 /* frames come and go as they are on the wire */
#define ETHARP_SUPPORT_VLAN	     0	 /* the link takes the tag off and puts it on */
#define LWIP_NETIF_HWADDRHINT	     1 /* each connection remembers its neighbour: no table walk */
#define LWIP_NETIF_TX_SINGLE_PBUF    1 /* a segment is one buffer: one copy into the mbuf */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1 /* the device does TCP's, in-process needs none */
#define LWIP_NETIF_LOOPBACK	     0 /* stack/ip/loop.c does it, without recursion and IP input */

/* ---- IPv4 ---- */
#define LWIP_ICMP	   1  /* echo: people test with ping */
#define LWIP_UDP	   1  /* answers unexpected datagrams with port unreachable */
#define IP_REASSEMBLY	   0  /* lwIP's is a toy and an attack surface: fragments are dropped */
#define IP_FRAG		   0  /* TCP fits its segments to the MTU */
#define IP_OPTIONS_ALLOWED 0  /* source routing and the like have no honest use here */
#define IP_DEFAULT_TTL	   64 /* Linux's */

/* ---- IPv6 ---- */
#define LWIP_IPV6		      1
#define LWIP_IPV6_NUM_ADDRESSES	      8 /* STACK_ADDRESSES_MAX */
#define LWIP_IPV6_MLD		      1 /* snooping switches want to see solicited-node groups */
#define LWIP_IPV6_REASS		      0
#define LWIP_IPV6_FRAG		      0
#define LWIP_IPV6_ADDRESS_LIFETIMES   1 /* see add_address6() in stack/ip/network.c */
#define LWIP_IPV6_AUTOCONFIG	      0 /* addresses are MELIN_ADDR's and no other */
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0 /* usable at once; the user said it is his */
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0 /* the gateway is MELIN_GATEWAY's */
#define LWIP_ND6_ALLOW_RA_UPDATES     0 /* nobody on the link changes our MTU or timers */
/* As for ARP. 2.1.3's queue has no bound, which strangers could use: one packet an entry there. */
#if __has_include("lwip/acd.h")
#define LWIP_ND6_QUEUEING  1
#define MEMP_NUM_ND6_QUEUE 255 /* it counts in 8 bits */
#else
#define LWIP_ND6_QUEUEING 0
#endif
#define LWIP_ND6_NUM_NEIGHBORS		127 /* the index is a signed byte */
#define LWIP_ND6_NUM_DESTINATIONS	127
#define LWIP_ND6_NUM_PREFIXES		1 /* none is ever learnt: see LWIP_HOOK_ND6_GET_GW */
#define LWIP_ND6_NUM_ROUTERS		1
#define LWIP_ND6_TCP_REACHABILITY_HINTS 1 /* progress of TCP proves a neighbour: no probes */

/* ---- TCP ---- */
#define TCP_MSS	       8960 /* a jumbo frame's; each connection has its link's */
#define LWIP_WND_SCALE 1    /* windows above 64 KB, and 32-bit window arithmetic at all */
#define TCP_RCV_SCALE  8
/*
 * The largest receive window, all that the scale lets be said: the kernel may have announced as
 * much of a connection that is borrowed. Sockets have their own: TCP_WND_MAX() in lwip_changes.h.
 */
#define RECEIVE_WINDOW_MAX (0xffff << TCP_RCV_SCALE)
#define TCP_WND		   RECEIVE_WINDOW_MAX
/* Only the credit that a new connection starts with: send_buffer.c sets each socket's own. */
#define TCP_SND_BUF	    (256 * 1024)
#define TCP_SND_QUEUELEN    65000 /* buffers, not bytes; send_buffer.c bounds them much earlier */
#define MEMP_NUM_TCP_SEG    65535 /* no pool behind it, but lwIP's sanity check wants it */
#define TCP_SNDLOWAT	    2048  /* unused by the raw API; the default overflows the check */
#define TCP_SNDQUEUELOWAT   100
#define TCP_OVERSIZE	    TCP_MSS /* small writes fill up the last segment */
#define LWIP_TCP_SACK_OUT   1	    /* peers recover their losses with it */
#define LWIP_TCP_TIMESTAMPS 0	    /* lwIP neither judges by them nor lets a clock go on */
#define TCP_QUEUE_OOSEQ	    1
#define TCP_OOSEQ_MAX_PBUFS 512 /* the queue is a list: 0.5 ms a segment if it has no bound */
#define TCP_OOSEQ_MAX_BYTES (4 * 1024 * 1024)
/* Its counters are 8 bits and full means blocked: stack/socket/listen.c. */
#define TCP_LISTEN_BACKLOG 0
#define LWIP_TCP_KEEPALIVE 1
#define SO_REUSE	   0	 /* addresses and ports are checked and chosen in ports.c */
#define TCP_MSL		   30000 /* TIME_WAIT of 60 s, as Linux */
/* RFC 6298, as Linux; pcb.c tells 2.1.3. */
#define LWIP_TCP_RTO_TIME 1000
/*
 * The retransmission timer counts in twice this and never falls below three counts: 60 ms
 * instead of 1.5 s. What else it shortens is set right in lwip_changes.h.
 */
#define TCP_TMR_INTERVAL	  10
#define LWIP_TCP_PCB_NUM_EXT_ARGS 7 /* stack/tcp/index.h says for what */

/* ---- checks ---- */
/* In vectors, where lwIP's own takes an eighth of all its time. */
#define LWIP_CHKSUM(data, length) checksum_fold(checksum_add(0, data, (size_t)(length)))
#define LWIP_STATS		  0 /* lwip_changes.h counts TCP segments in 64 bits */

/* ---- hooks ---- */
#define LWIP_HOOK_FILENAME	"stack/lwip/lwip_hooks.h"
#define LWIP_HOOK_IP4_ROUTE_SRC melin_route4 /* here: lwIP's ip4.h asks before it sees that file */

#endif
