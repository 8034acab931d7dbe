/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The link's pool of packet buffers: made for the sizes that sizes.h computes. On the thread that
 * owns DPDK, but for pool_take().
 */
#ifndef MELIN_POOL_H
#define MELIN_POOL_H

#include <stddef.h>

#include "common/reason.h"
#include "dpdk/frames/sizes.h"

struct device_link;
struct rte_mbuf;

/*
 * Makes link->pool and sets link->size. need: what the device wants; the number of connections and
 * the user's own number are filled in here. flags are those of rte_mempool_create(). 0, or a
 * negative errno value and the reason.
 */
int pool_open(struct device_link *link, const struct pool_need *need, unsigned flags,
	      struct reason *reason);
void pool_close(struct device_link *link);

/*
 * Keeps the buffers from children of fork(), which would otherwise cost the parent a copy of each
 * that it uses after the fork: the children find zeros there. For memory of this process's own.
 */
void pool_keep(struct device_link *link);

/* In a forked child whose parent kept its pool: the next pool_open() gives its memory back. */
void pool_abandon(struct device_link *link);

/*
 * Takes so many buffers, of which a pool that grows makes more first if it has to. With the stack's
 * lock, or before the link is in use. 0, or -ENOBUFS: then it has taken none.
 */
int pool_take(struct device_link *link, struct rte_mbuf **mbufs, unsigned count);

/* Bytes of DPDK's memory that such a pool takes. */
size_t pool_memory(const struct device_link *link, const struct pool_need *need);

/*
 * For devices without hardware: nothing but processors reads the memory, so that a buffer may
 * cross a page. net_af_xdp needs that: it tells the kernel as many bytes as the buffers have, and
 * holes at the ends of pages put the last ones beyond. Nor is there room for spreading buffers
 * over memory channels.
 */
#define POOL_WITHOUT_HARDWARE (RTE_MEMPOOL_F_NO_IOVA_CONTIG | RTE_MEMPOOL_F_NO_SPREAD)

#endif
