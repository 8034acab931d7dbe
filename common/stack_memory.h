/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for a stack that some code of melin's runs on instead of its thread's. Not for the stacks
 * of threads, which are libc's.
 */
#ifndef MELIN_STACK_MEMORY_H
#define MELIN_STACK_MEMORY_H

#include <stddef.h>

/*
 * So many bytes, a multiple of a page. Only touched pages cost memory. Nothing else lies close to
 * it. NULL: none is to be had. The caller's, for stack_memory_free() with the same size.
 */
void *stack_memory_new(size_t size);
void stack_memory_free(void *memory, size_t size);

#endif
