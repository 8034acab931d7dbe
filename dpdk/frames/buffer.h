/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packet buffer seen from both sides: DPDK's mbuf with lwIP's pbuf in its private area, so that a
 * received frame becomes a pbuf without an allocation.
 *
 *   | mempool header | rte_mbuf | buffer (private area) | headroom | frame ... |
 */
#ifndef MELIN_BUFFER_H
#define MELIN_BUFFER_H

#include <rte_mbuf.h>

#include "lwip/pbuf.h"

struct device_link;

struct buffer {
	struct pbuf_custom pbuf; /* first: lwIP hands a pointer to it back */
	struct device_link *link;
};

/* One cache line: DPDK wants a multiple of 8, and the frame's address should stay aligned. */
#define BUFFER_PRIVATE 64

_Static_assert(sizeof(struct buffer) <= BUFFER_PRIVATE, "a buffer's private area is too small");

static inline struct buffer *buffer_of(struct rte_mbuf *mbuf)
{
	return (struct buffer *)(mbuf + 1);
}

static inline struct rte_mbuf *buffer_mbuf(struct buffer *buffer)
{
	return (struct rte_mbuf *)buffer - 1;
}

#endif
