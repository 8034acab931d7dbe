/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long TCP goes on trying, in Linux's terms: stack/tcp/retry.c answers lwIP's "is it too often
 * yet?".
 */
#ifndef MELIN_RETRY_H
#define MELIN_RETRY_H

struct tcp_pcb;

/*
 * What pcb->nrtx or pcb->persist_probe is compared with: 0 for "give up", out of reach for "go on".
 */
unsigned melin_retry_limit(struct tcp_pcb *pcb);
/* The same in SYN_SENT; also spaces the SYNs as Linux does (lwIP would not back off there). */
unsigned melin_syn_retry_limit(struct tcp_pcb *pcb);

#endif
