/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is shared with the kernel, by the descriptor of what the kernel has there: a ring or
 * a map. The child of a fork does not get it: two readers would take each other's.
 */
#ifndef MELIN_SHARED_MEMORY_H
#define MELIN_SHARED_MEMORY_H

#include <stddef.h>
#include <sys/types.h>

/* protection: as mmap(2) has it. NULL: it cannot be had. The caller's, for munmap(2). */
void *shared_memory_map(int descriptor, off_t offset, size_t size, int protection);

#endif
