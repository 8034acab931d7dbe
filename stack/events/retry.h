/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long TCP goes on trying. lwIP counts retransmissions and asks after each whether they are
 * enough; the answers here are Linux's, which counts time.
 */
#ifndef MELIN_RETRY_H
#define MELIN_RETRY_H

#include <stdint.h>

struct tcp_pcb;

struct retry {
	uint64_t since;	    /* when retransmission began; 0: it has not */
	uint8_t doubted_at; /* the retransmission at which the next hop was asked for anew */
};

/*
 * What pcb->nrtx or pcb->persist_probe is compared with: 0 for "give up", out of reach for "go on".
 */
unsigned melin_retry_limit(struct tcp_pcb *pcb);
/* The same in SYN_SENT; also spaces the SYNs as Linux does (lwIP would not back off there). */
unsigned melin_syn_retry_limit(struct tcp_pcb *pcb);

#endif
