/* SPDX-License-Identifier: BSD-3-Clause */
/* See allocation.h. */
#include "stack/instance/allocation.h"

#include <stdint.h>
#include <stdlib.h>

/* Sizes are rounded up to a multiple of this, so that all full segments are of one size. */
#define GRANULE 512

/* Smaller ones are quick with malloc(); larger than a jumbo frame are rare. */
#define KEEP_MIN 1024
#define KEEP_MAX 9728
#define SIZES	 (KEEP_MAX / GRANULE + 1)

/* What is kept in all: what a burst of acknowledgements lets go, and the next write takes. */
#define KEEP_BYTES (4 << 20)

/* In front of each piece; as large as malloc()'s alignment. */
union header {
	struct {
		uint32_t size;	/* in granules; 0: not of a size that is kept */
		uint32_t bytes; /* at most 4 GB: lwIP's pieces have 16 bits of length */
	};
	union header *next; /* while it is kept */
	_Alignas(max_align_t) char aligned[1];
};

static union header *kept[SIZES];
static size_t kept_bytes;
size_t allocation_used;

static void *hand_out(union header *header, size_t granules, size_t size)
{
	header->size = (uint32_t)granules;
	header->bytes = (uint32_t)size;
	allocation_used += header->bytes;
	return header + 1;
}

void *melin_memory_allocate(size_t size)
{
	size_t granules = 0;
	union header *header;

	if (size >= KEEP_MIN && size <= KEEP_MAX) {
		granules = (size + GRANULE - 1) / GRANULE;
		size = granules * GRANULE;
		header = kept[granules];
		if (header) {
			kept[granules] = header->next;
			kept_bytes -= size;
			return hand_out(header, granules, size);
		}
	}
	if (size > SIZE_MAX - sizeof(*header))
		return NULL;
	header = malloc(sizeof(*header) + size);
	return header ? hand_out(header, granules, size) : NULL;
}

void *melin_memory_allocate_zeroed(size_t count, size_t size)
{
	size_t bytes;
	union header *header;

	if (__builtin_mul_overflow(count, size, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*header), &bytes))
		return NULL;
	header = calloc(1, bytes);
	return header ? hand_out(header, 0, bytes - sizeof(*header)) : NULL;
}

void melin_memory_free(void *memory)
{
	union header *header;
	size_t granules, bytes;

	if (!memory)
		return;
	header = (union header *)memory - 1;
	allocation_used -= header->bytes;
	granules = header->size;
	bytes = granules * GRANULE;
	if (granules == 0 || kept_bytes + bytes > KEEP_BYTES) {
		free(header);
		return;
	}
	header->next = kept[granules];
	kept[granules] = header;
	kept_bytes += bytes;
}
