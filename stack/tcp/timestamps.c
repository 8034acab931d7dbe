/* SPDX-License-Identifier: BSD-3-Clause */
/* See timestamps.h. */
#include "stack/tcp/timestamps.h"

#include <stdlib.h>

#include "lwip/priv/tcp_priv.h"

#include "common/network_order.h"
#include "stack/instance_parts.h"
#include "stack/tcp/segment_option.h"

#define OPTION_TIMESTAMPS 8
#define OPTION_LENGTH	  10
#define OPTION_WORD	  0x0101080a /* two of padding, kind, length */

/* RFC 7323 5.5: after so long the peer's clock may have come round, and anything is believed. */
#define OUTDATED_MS (24ull * 24 * 3600 * 1000)
/* Linux's TCP_PAWS_WINDOW: so much older are segments that have overtaken each other. */
#define REORDERED_TICKS 1

static uint64_t now_ms(void)
{
	return melin_clock_ns() / 1000000;
}

/* Of a connection; in its PCB's EXTRA_TIMESTAMPS. */
struct timestamps {
	uint32_t offset;       /* of the option's clock from ours, both in milliseconds */
	uint32_t recent;       /* TS.Recent: the peer's to echo */
	uint32_t acknowledged; /* Last.ACK.sent */
	uint64_t recent_ms;    /* when recent was taken; 0: there is none */
};

static struct timestamps *of(const struct tcp_pcb *pcb)
{
	return timestamps_are_used(pcb) ? pcb->ext_args[EXTRA_TIMESTAMPS].data : NULL;
}

static void destroyed(u8_t id, void *data)
{
	(void)id;
	free(data);
}

static const struct tcp_ext_arg_callbacks callbacks = { .destroy = destroyed };

bool timestamps_begin(struct tcp_pcb *pcb, uint32_t now, uint32_t recent)
{
	struct timestamps *stamps = malloc(sizeof(*stamps));

	if (!stamps)
		return false;
	*stamps = (struct timestamps){ .offset = now - (uint32_t)now_ms(),
				       .recent = recent,
				       .recent_ms = recent ? now_ms() : 0,
				       .acknowledged = pcb->rcv_nxt };
	pcb->ext_args[EXTRA_TIMESTAMPS].data = stamps;
	pcb->ext_args[EXTRA_TIMESTAMPS].callbacks = &callbacks;
	return true;
}

uint32_t timestamps_now(const struct tcp_pcb *pcb)
{
	return of(pcb) ? (uint32_t)now_ms() + of(pcb)->offset : 0;
}

uint32_t timestamps_recent(const struct tcp_pcb *pcb)
{
	return of(pcb) ? of(pcb)->recent : 0;
}

static const uint8_t *find(const struct tcp_hdr *header)
{
	const uint8_t *option = NULL;

	while ((option = segment_option_next(header, option))) {
		if (option[0] == OPTION_TIMESTAMPS && option[1] == OPTION_LENGTH)
			return option;
	}
	return NULL;
}

/*
 * RFC 7323 4.3 (2): whether the segment reaches back to what was acknowledged last. One that ends
 * before that would be a stranger's, who guesses: what the peer sends again has its clock of now.
 */
static bool tells_time(const struct timestamps *stamps, const struct tcp_hdr *header, uint32_t size)
{
	return TCP_SEQ_LEQ(header->seqno, stamps->acknowledged) &&
	       TCP_SEQ_GEQ(header->seqno + size, stamps->acknowledged);
}

bool timestamps_accept(const struct tcp_pcb *pcb, const struct tcp_hdr *header, uint32_t size)
{
	struct timestamps *stamps = of(pcb);
	const uint8_t *option = stamps ? find(header) : NULL;
	int32_t age;
	uint32_t value;

	/* Linux too takes a segment without it: middle boxes drop options. */
	if (!option)
		return true;
	value = bytes_read32(option + 2);
	age = stamps->recent_ms && now_ms() - stamps->recent_ms < OUTDATED_MS
		      ? (int32_t)(stamps->recent - value)
		      : 0;
	if (age > REORDERED_TICKS && !(TCPH_FLAGS(header) & TCP_RST))
		return false;
	if (age <= 0 && tells_time(stamps, header, size)) {
		stamps->recent = value;
		stamps->recent_ms = now_ms();
	}
	return true;
}

uint32_t *timestamps_write(const struct tcp_pcb *pcb, uint32_t *options)
{
	struct timestamps *stamps = of(pcb);

	if (!stamps)
		return options;
	stamps->acknowledged = pcb->rcv_nxt;
	options[0] = PP_HTONL(OPTION_WORD);
	options[1] = lwip_htonl(timestamps_now(pcb));
	options[2] = lwip_htonl(stamps->recent);
	return options + TIMESTAMPS_LENGTH / sizeof(uint32_t);
}
