/* SPDX-License-Identifier: BSD-3-Clause */
/* See scratch.h. */
#include "preload/libc/scratch.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

/* A set of a thousand descriptors for poll(2) fits. */
#define COMMON (128 * 1024)
/*
 * As many threads as may be in such a call at a time without a mmap(2) each; the rest is given
 * back.
 */
#define KEPT 8

struct block {
	size_t size; /* of the mapping */
	_Alignas(16) char memory[];
};

/* Mapped blocks of the common size that nobody uses; each is taken and put by an exchange. */
static _Atomic(struct block *) kept[KEPT];

static struct block *take_kept(void)
{
	for (int i = 0; i < KEPT; i++) {
		struct block *block = atomic_load_explicit(&kept[i], memory_order_relaxed);

		if (block && (block = atomic_exchange(&kept[i], NULL)))
			return block;
	}
	return NULL;
}

void *scratch_get(size_t size)
{
	struct block *block = NULL;

	if (size > SIZE_MAX / 2)
		return NULL;
	size += sizeof(*block);
	if (size <= COMMON) {
		size = COMMON;
		block = take_kept();
	}
	if (!block) {
		block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		if (block == MAP_FAILED)
			return NULL;
		block->size = size;
	}
	return block->memory;
}

void scratch_put(void *memory)
{
	struct block *block;

	if (!memory)
		return;
	block = (struct block *)((char *)memory - offsetof(struct block, memory));
	for (int i = 0; block->size == COMMON && i < KEPT; i++) {
		struct block *none = NULL;

		if (atomic_compare_exchange_strong(&kept[i], &none, block))
			return;
	}
	munmap(block, block->size);
}
