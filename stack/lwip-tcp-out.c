/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiles lwIP's tcp_out.c unchanged, with tcp_output() and tcp_send_empty_ack() under other
 * names: stack/output.c and stack/gap.c have those that everybody calls. Not for code of our own,
 * but for one door to a static function.
 */
#include "stack/gap.h"
#include "stack/recovery.h"
#include "stack/socket.h"

#define tcp_output	   melin_lwip_tcp_output
#define tcp_send_empty_ack melin_lwip_send_empty_ack

#include "core/tcp_out.c"

/* Here because what it calls is static. */
err_t melin_lwip_retransmit(struct tcp_pcb *pcb, struct tcp_seg *segment)
{
	struct netif *netif = tcp_route(pcb, &pcb->local_ip, &pcb->remote_ip);

	if (!netif)
		return ERR_RTE;
	if (tcp_output_segment_busy(segment))
		return ERR_INPROGRESS;
	return tcp_output_segment(segment, pcb, netif);
}

static int fits(const struct tcp_seg *segment, u16_t size)
{
	while (segment && segment->len <= size)
		segment = segment->next;
	return !segment;
}

/* Whether all could be made to fit. */
static int cut(struct tcp_pcb *pcb)
{
	struct tcp_seg *head = pcb->unsent, *segment = head, *last = NULL;

	for (; segment; segment = segment->next) {
		pcb->unsent = segment;
		if (segment->len > pcb->mss && tcp_split_unsent_seg(pcb, pcb->mss) != ERR_OK)
			break;
		last = segment;
	}
	pcb->unsent = head;
	/* Room behind the last one was made for a longer segment. */
	if (segment)
		pcb->unsent_oversize = 0;
	else if (last)
		pcb->unsent_oversize =
			LWIP_MIN(pcb->unsent_oversize, (u16_t)(pcb->mss - last->len));
	return !segment;
}

#undef tcp_output
err_t tcp_output(struct tcp_pcb *pcb); /* output.c */

/*
 * Cuts all that is longer than pcb->mss, which has just become smaller, and sends again what is
 * unacknowledged, as after a timeout but with the window as it is. Without memory, or should the
 * device still hold some of it, that happens with the router's next error.
 */
void melin_lwip_fit(struct tcp_pcb *pcb)
{
	int again = !fits(pcb->unacked, pcb->mss);

	if (!again && fits(pcb->unsent, pcb->mss))
		return;
	if (again && recovery_of(pcb))
		recovery_forget(recovery_of(pcb));
	if (again && tcp_rexmit_rto_prepare(pcb) != ERR_OK)
		return;
	if (!cut(pcb))
		return;
	pcb->rtime = 0;
	tcp_output(pcb);
}
