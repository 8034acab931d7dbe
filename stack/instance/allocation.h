/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lwIP's memory. Segments come and go all the time, in one or two sizes for which malloc() has no
 * short way (glibc's has it up to 1,032 bytes): a few of each are kept. All else is malloc()'s.
 * Called with the instance's lock held, as lwIP is.
 */
#ifndef MELIN_ALLOCATION_H
#define MELIN_ALLOCATION_H

#include <stddef.h>

/* Sizes are rounded up to a multiple of this, so that all full segments are of one size. */
#define ALLOCATION_GRANULE 512
/* Larger than a jumbo frame is rare. */
#define ALLOCATION_KEEP_MAX 9728

union allocation_header;

struct allocation {
	/* Pieces that are kept to be handed out again, by their size in granules. */
	union allocation_header *kept[ALLOCATION_KEEP_MAX / ALLOCATION_GRANULE + 1];
	size_t kept_bytes;
	size_t used; /* bytes that have been allocated and not been freed */
};

/* As malloc(3), calloc(3), free(3), out of the current instance's struct allocation. */
void *melin_memory_allocate(size_t size);
void *melin_memory_allocate_zeroed(size_t count, size_t size);
void melin_memory_free(void *memory);

#endif
