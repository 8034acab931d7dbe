/* SPDX-License-Identifier: BSD-3-Clause */
/* See pool.h. */
#include "dpdk/frames/pool.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_mempool.h>

#include "dpdk/frames/buffer.h"
#include "dpdk/eal/eal.h"
#include "dpdk/device_link.h"
#include "dpdk/eal/journal.h"
#include "dpdk/frames/frame_receive.h"

static void choose(const struct device_link *link, const struct pool_need *need,
		   struct pool_size *size)
{
	struct pool_need whole = *need;

	whole.connections = link->config.connections;
	whole.mbufs = link->stack.mbufs;
	pool_size(&whole, size);
}

size_t pool_memory(const struct device_link *link, const struct pool_need *need)
{
	struct pool_size size;

	choose(link, need, &size);
	return size.memory;
}

/*
 * As rte_pktmbuf_pool_create_by_ops(), but with flags. Callers are not EAL threads, so there is no
 * cache per lcore; "stack" hands out what came back last, which is still in the processor's cache.
 */
static struct rte_mempool *create(const char *name, const struct pool_size *size, int node,
				  unsigned flags)
{
	struct rte_pktmbuf_pool_private private = {
		.mbuf_data_room_size = (uint16_t)size->data_room,
		.mbuf_priv_size = BUFFER_PRIVATE,
	};
	unsigned element = (unsigned)sizeof(struct rte_mbuf) + BUFFER_PRIVATE + size->data_room;
	struct rte_mempool *pool = rte_mempool_create_empty(name, size->mbufs, element, 0,
							    sizeof(private), node, flags);

	if (!pool)
		return NULL;
	rte_errno = -rte_mempool_set_ops_byname(pool, "stack", NULL);
	if (rte_errno == 0) {
		int populated;

		rte_pktmbuf_pool_init(pool, &private);
		populated = rte_mempool_populate_default(pool);
		if (populated > 0) {
			rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
			return pool;
		}
		rte_errno = -populated;
	}
	rte_mempool_free(pool);
	return NULL;
}

/* ---- pools and fork() ---- */

/* The pool of the parent that this process has a copy of, less the buffers; or NULL. */
static struct rte_mempool *parents;

/* Whole pages of one chunk of buffers get the advice: what else is on the others is not theirs. */
static void advise(struct rte_mempool *pool, void *advice, struct rte_mempool_memhdr *chunk,
		   unsigned index)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t begin = ((uintptr_t)chunk->addr + page - 1) & ~(page - 1);
	const uintptr_t end = ((uintptr_t)chunk->addr + chunk->len) & ~(page - 1);

	(void)pool;
	(void)index;
	if (begin < end)
		madvise((void *)begin, end - begin, *(const int *)advice);
}

void pool_keep(struct device_link *link)
{
	int advice = MADV_WIPEONFORK;

	rte_mempool_mem_iter(link->pool, advise, &advice);
}

void pool_abandon(struct device_link *link)
{
	parents = link->pool;
}

/* The list of the buffers goes through them: to the pool it has none. */
static void free_parents(void)
{
	int advice = MADV_KEEPONFORK;

	if (!parents)
		return;
	rte_mempool_mem_iter(parents, advise, &advice);
	STAILQ_INIT(&parents->elt_list);
	rte_mempool_free(parents);
	parents = NULL;
}

int pool_open(struct device_link *link, const struct pool_need *need, unsigned flags,
	      struct reason *reason)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	free_parents();
	choose(link, need, &link->size);
	if (link->size.raised)
		journal_add(LOG_LEVEL_WARN,
			    "MELIN_MBUFS=%u: the device's rings need more, using %u",
			    link->stack.mbufs, link->size.mbufs);
	snprintf(name, sizeof(name), "melin_%u", link->port);
	link->pool =
		create(name, &link->size,
		       link->has_port ? rte_eth_dev_socket_id(link->port) : SOCKET_ID_ANY, flags);
	if (!link->pool)
		return eal_failure("no memory for the packet buffers (lower MELIN_MBUFS, or "
				   "provide hugepages)",
				   rte_errno, reason);
	receive_prepare_pool(link);
	return 0;
}

void pool_close(struct device_link *link)
{
	rte_mempool_free(link->pool);
	link->pool = NULL;
}
