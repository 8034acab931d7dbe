/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiles lwIP's tcp_out.c unchanged, with five of its functions under other names: those that
 * everybody calls are stack/socket/output.c's tcp_output(), stack/tcp/gap.c's tcp_send_empty_ack(),
 * and the tcp_send_fin(), tcp_split_unsent_seg() and tcp_zero_window_probe() below. Not for code of
 * our own that could do without what is static here.
 */
#include "stack/lwip/lwip_hooks.h"
#include "stack/tcp/gap.h"
#include "stack/tcp/recovery.h"
#include "stack/socket_parts.h"
#include "stack/tcp/timestamps.h"

#define tcp_output	      melin_lwip_tcp_output
#define tcp_send_empty_ack    melin_lwip_send_empty_ack
#define tcp_split_unsent_seg  melin_lwip_split_unsent_seg
#define tcp_send_fin	      melin_lwip_send_fin
#define tcp_zero_window_probe melin_lwip_zero_window_probe

/*
 * tcp_split_unsent_seg() alone asks for the options' length without the hook: the second part of a
 * segment with timestamps would have them written over its first bytes. So the length has what the
 * hook adds wherever it is asked for, and the hook adds nothing more. All who ask have a pcb.
 */
static u8_t length_without_hook(u8_t flags)
{
	return LWIP_TCP_OPT_LENGTH(flags);
}
static u8_t length_with_hook(const struct tcp_pcb *pcb, u8_t flags)
{
	return melin_option_length(pcb, length_without_hook(flags));
}
#undef LWIP_TCP_OPT_LENGTH
#define LWIP_TCP_OPT_LENGTH(flags) length_with_hook(pcb, flags)
#undef LWIP_HOOK_TCP_OUT_TCPOPT_LENGTH
#define LWIP_HOOK_TCP_OUT_TCPOPT_LENGTH(pcb, length) (length)

#include "core/tcp_out.c"

#undef tcp_send_fin
/*
 * lwIP numbers a FIN that is a segment of its own, but not one that it puts into the last segment
 * of data: once that was acknowledged, more would be than was ever queued.
 */
err_t tcp_send_fin(struct tcp_pcb *pcb)
{
	const u32_t end = pcb->snd_lbb;
	err_t error = melin_lwip_send_fin(pcb);

	if (error == ERR_OK && pcb->snd_lbb == end)
		pcb->snd_lbb++;
	return error;
}

#undef tcp_split_unsent_seg
/*
 * lwIP means to move FIN and PSH to the second part, but leaves them with the first one, too: the
 * peer would take the middle for the end.
 */
static err_t split_first(struct tcp_pcb *pcb, u16_t split)
{
	struct tcp_seg *first = pcb->unsent, *next = first ? first->next : NULL;
	err_t error = melin_lwip_split_unsent_seg(pcb, split);

	if (first && first->next != next)
		TCPH_UNSET_FLAG(first->tcphdr, TCP_FIN | TCP_PSH);
	return error;
}

/*
 * lwIP cuts off what the peer's window has room for. Of a segment whose first byte a probe has
 * brought there already, the window begins behind that byte.
 */
err_t tcp_split_unsent_seg(struct tcp_pcb *pcb, u16_t split)
{
	const struct tcp_seg *first = pcb->unsent;
	const u32_t start = first ? lwip_ntohl(first->tcphdr->seqno) : 0;

	if (first && TCP_SEQ_LT(start, pcb->lastack))
		split = (u16_t)LWIP_MIN(split + (pcb->lastack - start), first->len);
	return split_first(pcb, split);
}

#undef tcp_zero_window_probe
/*
 * A segment of the first number that was not sent: a byte, or a FIN alone. lwIP writes the byte
 * where options begin: with timestamps the peer would get another one, and keep it if it has room
 * by then. Since it may have, snd_nxt is behind the byte from now on. A probe that could not be
 * sent is counted, too, or a connection without memory would be kept for ever.
 */
err_t tcp_zero_window_probe(struct tcp_pcb *pcb)
{
	const struct tcp_seg *segment = pcb->unsent;
	const u16_t size = segment && segment->len > 0;
	const u8_t options = LWIP_TCP_OPT_LENGTH_SEGMENT(0, pcb);
	struct recovery *recovery = recovery_of(pcb);
	struct pbuf *probe;
	u32_t end;

	if (!segment)
		return ERR_OK;
	if (pcb->persist_probe < UINT8_MAX)
		pcb->persist_probe++;
	probe = tcp_output_alloc_header(pcb, options, size, segment->tcphdr->seqno);
	if (!probe)
		return ERR_MEM;
	if (size)
		pbuf_copy_partial(segment->p, (char *)probe->payload + TCP_HLEN + options, 1,
				  (u16_t)(segment->p->tot_len - segment->len));
	else
		TCPH_FLAGS_SET((struct tcp_hdr *)probe->payload, TCP_ACK | TCP_FIN);
	end = lwip_ntohl(segment->tcphdr->seqno) + 1;
	if (recovery)
		recovery_ask(recovery, end - 1);
	if (TCP_SEQ_LT(pcb->snd_nxt, end))
		pcb->snd_nxt = end;
	tcp_output_fill_options(pcb, probe, 0, 0);
	if (recovery)
		recovery->asks = false;
	return tcp_output_control_segment(pcb, probe, &pcb->local_ip, &pcb->remote_ip);
}

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
static int cut(struct tcp_pcb *pcb, u16_t size)
{
	struct tcp_seg *head = pcb->unsent, *segment = head, *last = NULL;

	for (; segment; segment = segment->next) {
		pcb->unsent = segment;
		if (segment->len > size && split_first(pcb, size) != ERR_OK)
			break;
		last = segment;
	}
	pcb->unsent = head;
	/* The spare room behind the last segment was meant for a longer one. */
	if (segment)
		pcb->unsent_oversize = 0;
	else if (last)
		pcb->unsent_oversize = LWIP_MIN(pcb->unsent_oversize, (u16_t)(size - last->len));
	return !segment;
}

#undef tcp_output
err_t tcp_output(struct tcp_pcb *pcb); /* output.c */

/*
 * Cuts all that is longer than a full segment, which has just become smaller, and sends again what
 * is unacknowledged, as after a timeout but with the window as it is. Returns 0 without memory, or
 * when the device still holds some of it.
 */
int melin_lwip_fit(struct tcp_pcb *pcb)
{
	u16_t size = timestamps_full_segment(pcb);
	int again = !fits(pcb->unacked, size);

	if (!again && fits(pcb->unsent, size))
		return 1;
	if (again && recovery_of(pcb))
		recovery_forget(recovery_of(pcb));
	if (again && tcp_rexmit_rto_prepare(pcb) != ERR_OK)
		return 0;
	if (!cut(pcb, size))
		return 0;
	pcb->rtime = 0;
	tcp_output(pcb);
	return 1;
}
