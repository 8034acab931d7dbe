/* SPDX-License-Identifier: BSD-3-Clause */
/* See allocation.h. */
#include "stack/instance/allocation.h"

#include <stdint.h>
#include <stdlib.h>

#include "stack/instance_parts.h"

#define GRANULE ALLOCATION_GRANULE

/* Smaller ones are quick with malloc(). */
#define KEEP_MIN 1024
#define KEEP_MAX ALLOCATION_KEEP_MAX

/* What is kept in all: what a burst of acknowledgements lets go, and the next write takes. */
#define KEEP_BYTES (4 << 20)

/* In front of each piece; as large as malloc()'s alignment. */
union allocation_header {
	struct {
		uint32_t size;	/* in granules; 0: not of a size that is kept */
		uint32_t bytes; /* at most 4 GB: lwIP's pieces have 16 bits of length */
	};
	union allocation_header *next; /* while it is kept */
	_Alignas(max_align_t) char aligned[1];
};

static void *hand_out(struct allocation *allocation, union allocation_header *header,
		      size_t granules, size_t size)
{
	header->size = (uint32_t)granules;
	header->bytes = (uint32_t)size;
	allocation->used += header->bytes;
	return header + 1;
}

void *melin_memory_allocate(size_t size)
{
	struct allocation *allocation = &melin_instance->allocation;
	size_t granules = 0;
	union allocation_header *header;

	if (size >= KEEP_MIN && size <= KEEP_MAX) {
		granules = (size + GRANULE - 1) / GRANULE;
		size = granules * GRANULE;
		header = allocation->kept[granules];
		if (header) {
			allocation->kept[granules] = header->next;
			allocation->kept_bytes -= size;
			return hand_out(allocation, header, granules, size);
		}
	}
	if (size > SIZE_MAX - sizeof(*header))
		return NULL;
	header = malloc(sizeof(*header) + size);
	return header ? hand_out(allocation, header, granules, size) : NULL;
}

void *melin_memory_allocate_zeroed(size_t count, size_t size)
{
	struct allocation *allocation = &melin_instance->allocation;
	size_t bytes;
	union allocation_header *header;

	if (__builtin_mul_overflow(count, size, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*header), &bytes))
		return NULL;
	header = calloc(1, bytes);
	return header ? hand_out(allocation, header, 0, bytes - sizeof(*header)) : NULL;
}

void melin_memory_free(void *memory)
{
	struct allocation *allocation = &melin_instance->allocation;
	union allocation_header *header;
	size_t granules, bytes;

	if (!memory)
		return;
	header = (union allocation_header *)memory - 1;
	allocation->used -= header->bytes;
	granules = header->size;
	bytes = granules * GRANULE;
	if (granules == 0 || allocation->kept_bytes + bytes > KEEP_BYTES) {
		free(header);
		return;
	}
	header->next = allocation->kept[granules];
	allocation->kept[granules] = header;
	allocation->kept_bytes += bytes;
}
