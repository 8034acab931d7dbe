/* SPDX-License-Identifier: BSD-3-Clause */
/* See append.h. */
#include "tests/unit/stack/append.h"

#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/reassembly.h"

static struct tcp_pcb *with_gap(void)
{
	struct tcp_pcb *pcb = tcp_active_pcbs;

	while (pcb && !pcb->ooseq)
		pcb = pcb->next;
	return pcb;
}

bool append_behind_gap(uint16_t size)
{
	struct tcp_pcb *pcb = with_gap();
	struct pbuf *data = pcb ? pbuf_alloc(PBUF_RAW, size, PBUF_RAM) : NULL;
	struct tcp_hdr header = { ._hdrlen_rsvd_flags = PP_HTONS(5 << 12 | TCP_ACK) };
	const struct tcp_seg *last;
	bool result;

	if (!data)
		return false;
	for (last = pcb->ooseq; last->next;)
		last = last->next;
	header.seqno = last->tcphdr->seqno + last->len;
	header.ackno = pcb->lastack;
	header.wnd = (u16_t)(pcb->snd_wnd >> pcb->snd_scale);
	memset(data->payload, 1, size);
	result = reassembly_append(pcb, &header, data);
	pbuf_free(data);
	return result;
}
