/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lwIP's memory. Segments come and go all the time, in one or two sizes for which malloc() has no
 * short way (glibc's has it up to 1,032 bytes): a few of each are kept. All else is malloc()'s.
 * Called with the instance's lock held, as lwIP is.
 */
#ifndef MELIN_MEMORY_H
#define MELIN_MEMORY_H

#include <stddef.h>

/* As malloc(3), calloc(3), free(3). */
void *melin_memory_allocate(size_t size);
void *melin_memory_allocate_zeroed(size_t count, size_t size);
void melin_memory_free(void *memory);

/* Bytes that have been allocated and not been freed; what is kept is not among them. */
extern size_t allocation_used;

#endif
