/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP timestamps (RFC 7323) of connections that were begun with them: on every segment that
 * leaves, continuing the clock of who began it, the peer's echoed; and protection against old
 * segments (PAWS). lwIP has no more than the option's layout. Connections that the stack itself
 * begins do not ask for them. Everything here runs under the instance's lock.
 */
#ifndef MELIN_TIMESTAMPS_H
#define MELIN_TIMESTAMPS_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/tcp/index.h"

struct tcp_hdr;

/* Two bytes of padding and the option: RFC 7323, appendix A. */
#define TIMESTAMPS_LENGTH 12

/*
 * The connection has timestamps from now on; its PCB keeps what is needed for them until it is
 * freed. now: what the option of a segment that left now would say, in milliseconds. recent: the
 * peer's, 0 if it is not known. False: no memory.
 */
bool timestamps_begin(struct tcp_pcb *pcb, uint32_t now, uint32_t recent);

static inline bool timestamps_are_used(const struct tcp_pcb *pcb)
{
	return pcb && pcb->state != LISTEN && pcb->ext_args[EXTRA_TIMESTAMPS].data;
}
/* What such a segment would say now, and what the peer has said; both 0 without timestamps. */
uint32_t timestamps_now(const struct tcp_pcb *pcb);
uint32_t timestamps_recent(const struct tcp_pcb *pcb);

/* Bytes of data in a full segment: lwIP's pcb->mss has the option's room in it. */
static inline uint16_t timestamps_full_segment(const struct tcp_pcb *pcb)
{
	return (uint16_t)(pcb->mss - (timestamps_are_used(pcb) ? TIMESTAMPS_LENGTH : 0));
}

/*
 * Reads the option of a segment for an established connection, with so many bytes of data. False:
 * the segment is older than what came before (RFC 7323 5.3, R1) and must be dropped; an
 * acknowledgement is owed then. Of one that lies before the window nothing is believed (R2).
 */
bool timestamps_accept(const struct tcp_pcb *pcb, const struct tcp_hdr *header, uint32_t size);

/* Writes the option; returns where the next one goes. */
uint32_t *timestamps_write(const struct tcp_pcb *pcb, uint32_t *options);

#endif
