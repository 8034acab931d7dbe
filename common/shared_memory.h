/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is shared with the kernel, by the descriptor of what the kernel has there: a ring or
 * a map. The child of a fork does not get it: two readers would take each other's.
 */
#ifndef MELIN_SHARED_MEMORY_H
#define MELIN_SHARED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* protection: as mmap(2) has it. NULL: it cannot be had. The caller's, for munmap(2). */
void *shared_memory_map(int descriptor, off_t offset, size_t size, int protection);

/*
 * Whether the process may make a file of memory of that size: the kernel sends SIGXFSZ to who makes
 * one that is larger than RLIMIT_FSIZE.
 */
bool shared_memory_allowed(size_t size);

#endif
