/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiles lwIP's tcp_out.c unchanged, with tcp_output() under another name: stack/output.c has the
 * one that everybody calls. Not for code of our own, but for one door to a static function.
 */
#define tcp_output melin_lwip_tcp_output

#include "core/tcp_out.c"

#include "stack/recovery.h"

/* Here because what it calls is static. */
err_t melin_lwip_retransmit(struct tcp_pcb *pcb, struct tcp_seg *segment)
{
	struct netif *netif = tcp_route(pcb, &pcb->local_ip, &pcb->remote_ip);

	if (!netif)
		return ERR_RTE;
	pcb->rttest = 0; /* Karn: no round trip is measured by what was sent twice */
	pcb->rtime = 0;
	return tcp_output_segment(segment, pcb, netif);
}
