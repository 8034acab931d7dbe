/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Included before everything else into each file of lwIP (compiler option -include): redefines the
 * few macros of its headers that no option reaches. lwIP's files stay as they are. Not for options
 * (lwipopts.h), not for hooks that lwIP offers (lwip_hooks.h).
 *
 * Each name below exists with this meaning in 2.1.3 and in 2.2.1. A newer lwIP must be looked at
 * and then run through tests/unit/stack/test_index.c before the range is widened.
 */
#ifndef MELIN_LWIP_CHANGES_H
#define MELIN_LWIP_CHANGES_H

#include "lwip/init.h"
#include "lwip/opt.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ip4.h"
#include "lwip/stats.h"
#include "lwip/tcp.h"

#include "stack/tcp/index.h"

#if LWIP_VERSION_MAJOR != 2 || LWIP_VERSION_MINOR < 1 || LWIP_VERSION_MINOR > 2 ||                 \
	(LWIP_VERSION_MINOR == 1 && LWIP_VERSION_REVISION < 3) ||                                  \
	(LWIP_VERSION_MINOR == 2 && LWIP_VERSION_REVISION > 1)
#error "lwIP 2.1.3 to 2.2.1 is what the connection index was made for and tested with"
#endif

/* Registration goes through the connection index: no list is ever searched. */
#undef TCP_REG
#undef TCP_RMV
#define TCP_REG(pcbs, npcb) melin_index_register((struct tcp_pcb **)(pcbs), (npcb))
#define TCP_RMV(pcbs, npcb) melin_index_remove((struct tcp_pcb **)(pcbs), (npcb))

/* Each socket has its own receive buffer; lwIP knows one size for all. */
uint32_t melin_receive_window(const struct tcp_pcb *pcb);
#undef TCP_WND_MAX
#define TCP_WND_MAX(pcb) ((tcpwnd_size_t)melin_receive_window(pcb))
/* Tell the peer of new room when there is a quarter of the buffer more than it knows of. */
uint32_t melin_receive_buffer(const struct tcp_pcb *pcb);
#undef TCP_WND_UPDATE_THRESHOLD
#define TCP_WND_UPDATE_THRESHOLD (melin_receive_buffer(pcb) / 4)

/* lwIP never sets "don't fragment", and without it no router tells of its smaller MTU. */
extern u16_t melin_fragment_bits; /* of the TCP segment that is being sent; path.c */
#undef IPH_OFFSET_SET
#define IPH_OFFSET_SET(hdr, off)                                                                   \
	((hdr)->_offset =                                                                          \
		 (u16_t)((off) | (IPH_PROTO(hdr) == IP_PROTO_TCP ? melin_fragment_bits : 0)))

/* Not every second segment: stack/tcp/acknowledge.c says when. */
#undef tcp_ack
#define tcp_ack(pcb) tcp_set_flags(pcb, TF_ACK_DELAY)

/* In milliseconds: TCP_LINGER2 or tcp_fin_timeout, which close.c leaves there at the end. */
#undef TCP_FIN_WAIT_TIMEOUT
#define TCP_FIN_WAIT_TIMEOUT ((pcb)->keep_idle)
/* Five retries of a SYN-ACK, as Linux. */
#undef TCP_SYN_RCVD_TIMEOUT
#define TCP_SYN_RCVD_TIMEOUT 63000

/*
 * So many RTOs, which are short here, is out-of-order data kept. Linux keeps it until memory is
 * short.
 */
#undef TCP_OOSEQ_TIMEOUT
#define TCP_OOSEQ_TIMEOUT 50

/* lwIP's own counters have 32 bits and there is one set for everything. */
struct melin_protocol_counters {
	uint64_t xmit, recv, drop, chkerr, lenerr, memerr, rterr, proterr, opterr, err, cachehit;
};
struct melin_tcp_counters {
	struct melin_protocol_counters tcp;
};
extern struct melin_tcp_counters melin_tcp_counters;
#undef TCP_STATS_INC
#define TCP_STATS_INC(counter) (melin_tcp_counters.counter++)

#endif
