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
	return need->grows ? 0 : size.memory;
}

/* ---- buffers ---- */

/*
 * So many buffers are made at a time: that takes some 30 us, and a process whose connections ask
 * and answer needs no more. A frame of 64 KB takes 33.
 */
#define GROWTH 64

static void give_back(struct rte_mempool_memhdr *chunk, void *unused)
{
	(void)unused;
	munmap(chunk->addr, chunk->len);
}

/*
 * Gives the pool pages that are not touched before there is a buffer in them. 0 or a negative errno
 * value.
 *
 * DPDK's lock of its heap, which this takes for a moment, is never found taken in the child of a
 * fork. A pool that grows is a tap's, and grows when frames of borrowed connections come. Before a
 * fork all of them are given back, each under the stack's lock as this is, and none is borrowed
 * until it is over; and starts and forks exclude each other (docs/LOCKING.md, start_lock).
 */
static int add_memory(struct rte_mempool *pool)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t element = pool->header_size + pool->elt_size + pool->trailer_size;
	const size_t length = (GROWTH * element + page - 1) / page * page;
	void *memory =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int added;

	if (memory == MAP_FAILED)
		return -ENOMEM;
	/* As pool_keep(). */
	if (eal_is_copied())
		madvise(memory, length, MADV_WIPEONFORK);
	added = rte_mempool_populate_iova(pool, memory, RTE_BAD_IOVA, length, give_back, NULL);
	if (added > 0)
		return 0;
	munmap(memory, length);
	return added < 0 ? added : -ENOMEM;
}

/* Makes all buffers, or if the pool grows the first or some more of them. */
static int populate(struct device_link *link, struct rte_mempool *pool)
{
	/* Where the list of the buffers ends: the new ones are behind that. */
	struct rte_mempool_objhdr **const end = pool->elt_list.stqh_last, *header;
	unsigned index = pool->populated_size;
	int error = link->grows ? add_memory(pool) : rte_mempool_populate_default(pool);

	if (error < 0)
		return error;
	for (header = *end; header; header = STAILQ_NEXT(header, next)) {
		void *object = (char *)header + sizeof(*header);

		rte_pktmbuf_init(pool, NULL, object, index++);
		receive_prepare(link, object);
	}
	return 0;
}

int pool_take(struct device_link *link, struct rte_mbuf **mbufs, unsigned count)
{
	struct rte_mempool *pool = link->pool;

	while (rte_pktmbuf_alloc_bulk(pool, mbufs, count) != 0) {
		if (pool->populated_size == pool->size || populate(link, pool) < 0)
			return -ENOBUFS;
	}
	return 0;
}

/*
 * As rte_pktmbuf_pool_create_by_ops(), but with flags. Callers are not EAL threads, so there is no
 * cache per lcore; "stack" hands out what came back last, which is still in the processor's cache.
 */
static struct rte_mempool *create(struct device_link *link, const char *name, int node,
				  unsigned flags)
{
	struct rte_pktmbuf_pool_private private = {
		.mbuf_data_room_size = (uint16_t)link->size.data_room,
		.mbuf_priv_size = BUFFER_PRIVATE,
	};
	unsigned element =
		(unsigned)sizeof(struct rte_mbuf) + BUFFER_PRIVATE + link->size.data_room;
	struct rte_mempool *pool = rte_mempool_create_empty(name, link->size.mbufs, element, 0,
							    sizeof(private), node, flags);

	if (!pool)
		return NULL;
	rte_errno = -rte_mempool_set_ops_byname(pool, "stack", NULL);
	if (rte_errno == 0) {
		rte_pktmbuf_pool_init(pool, &private);
		rte_errno = -populate(link, pool);
		if (rte_errno == 0)
			return pool;
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

/*
 * The list of the buffers goes through the buffers, which are not here: the pool is told that it
 * has none.
 */
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
	link->grows = need->grows;
	link->pool =
		create(link, name,
		       link->has_port ? rte_eth_dev_socket_id(link->port) : SOCKET_ID_ANY, flags);
	if (!link->pool)
		return eal_failure("no memory for the packet buffers (lower MELIN_MBUFS, or "
				   "provide hugepages)",
				   rte_errno, reason);
	return 0;
}

void pool_close(struct device_link *link)
{
	rte_mempool_free(link->pool);
	link->pool = NULL;
}
