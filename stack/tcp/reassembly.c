/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reassembly: reassembly.h.
 */
#include "stack/tcp/reassembly.h"

#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/gap.h"

/* A pbuf of ours with room for BLOCK bytes; in pbuf.flags, above lwIP's PBUF_FLAG_ bits. */
#define FLAG_BLOCK 0x40
#define BLOCK	   16384

/* Whether the segment brings nothing but data: its acknowledgement and its window are as before. */
static bool is_plain(const struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
	return (TCPH_FLAGS(header) & ~TCP_PSH) == TCP_ACK && header->ackno == pcb->lastack &&
	       (u32_t)SND_WND_SCALE(pcb, header->wnd) == pcb->snd_wnd &&
	       (pcb->state == ESTABLISHED || pcb->state == FIN_WAIT_1 || pcb->state == FIN_WAIT_2);
}

static struct tcp_seg *last_of(struct tcp_seg *segment)
{
	while (segment && segment->next)
		segment = segment->next;
	return segment;
}

/* Appends an empty block to the segment's buffers. */
static struct pbuf *add_block(struct pbuf *first)
{
	struct pbuf *block = pbuf_alloc(PBUF_RAW, BLOCK, PBUF_RAM);

	if (!block)
		return NULL;
	block->flags |= FLAG_BLOCK;
	block->len = block->tot_len = 0;
	pbuf_cat(first, block);
	return block;
}

static void copy_in(struct pbuf *block, const struct pbuf *data, u16_t offset, u16_t size)
{
	pbuf_copy_partial(data, (uint8_t *)block->payload + block->len, size, offset);
	block->len += size;
}

/*
 * Copies all of the data; or nothing: without memory, or if it is large, for few such make many
 * bytes.
 */
static bool append(struct tcp_seg *segment, const struct pbuf *data)
{
	struct pbuf *last = segment->p;
	u16_t room, part;

	while (last->next)
		last = last->next;
	room = last->flags & FLAG_BLOCK ? (u16_t)(BLOCK - last->len) : 0;
	part = LWIP_MIN(room, data->tot_len);
	/* A segment that the kernel has put together (GRO) may be longer than a block. */
	if (data->tot_len - part > BLOCK)
		return false;
	if (part < data->tot_len) {
		struct pbuf *block = add_block(segment->p);

		if (!block)
			return false;
		copy_in(block, data, part, (u16_t)(data->tot_len - part));
	}
	if (part)
		copy_in(last, data, 0, part);
	segment->len += data->tot_len;
	return true;
}

/* Each buffer's tot_len counts what is in it and in those behind it. */
static void count_chain(struct pbuf *buffer, u16_t length)
{
	for (; buffer; buffer = buffer->next) {
		buffer->tot_len = length;
		length -= buffer->len;
	}
}

/* The SACK block that ends there becomes longer, and is told first: RFC 2018 (4). */
static void extend_sack(struct tcp_pcb *pcb, unsigned at, u32_t size)
{
	struct tcp_sack_range range = pcb->rcv_sacks[at];

	range.right += size;
	memmove(pcb->rcv_sacks + 1, pcb->rcv_sacks, at * sizeof(range));
	pcb->rcv_sacks[0] = range;
}

static unsigned find_sack(const struct tcp_pcb *pcb, u32_t right)
{
	unsigned at = 0;

	while (at < LWIP_TCP_MAX_SACK_NUM && LWIP_TCP_SACK_VALID(pcb, at) &&
	       pcb->rcv_sacks[at].right != right)
		at++;
	return at < LWIP_TCP_MAX_SACK_NUM && LWIP_TCP_SACK_VALID(pcb, at) ? at
									  : LWIP_TCP_MAX_SACK_NUM;
}

bool reassembly_append(struct tcp_pcb *pcb, const struct tcp_hdr *header,
		       const struct pbuf *payload)
{
	struct tcp_seg *last = last_of(pcb->ooseq);
	unsigned sack;

	if (!last || !payload->tot_len || !is_plain(pcb, header))
		return false;
	if (last->tcphdr->seqno + last->len != header->seqno ||
	    (TCPH_FLAGS(last->tcphdr) & TCP_FIN) || last->len + payload->tot_len > UINT16_MAX ||
	    last->p->ref != 1)
		return false;
	sack = find_sack(pcb, header->seqno);
	if ((pcb->flags & TF_SACK) && sack == LWIP_TCP_MAX_SACK_NUM)
		return false;
	if (!append(last, payload))
		return false;
	count_chain(last->p, last->len);
	if (pcb->flags & TF_SACK)
		extend_sack(pcb, sack, payload->tot_len);
	pcb->tmr = tcp_ticks; /* as lwIP's tcp_process() */
	pcb->keep_cnt_sent = 0;
	pcb->persist_probe = 0;
	melin_gap_acknowledge(pcb);
	return true;
}
