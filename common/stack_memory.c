/* SPDX-License-Identifier: BSD-3-Clause */
/* See stack_memory.h. */
#include "common/stack_memory.h"

#include <sys/mman.h>

/*
 * Before and behind it, so that what runs over its ends faults there and then; and valgrind(1)
 * takes a leap of less than 2 MB for one stack that grows or shrinks, and says then that what the
 * stacks hold is not valid.
 */
#define APART ((size_t)4 * 1024 * 1024)

void *stack_memory_new(size_t size)
{
	char *memory = mmap(NULL, APART + size + APART, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (mprotect(memory + APART, size, PROT_READ | PROT_WRITE) == 0)
		return memory + APART;
	munmap(memory, APART + size + APART);
	return NULL;
}

void stack_memory_free(void *memory, size_t size)
{
	munmap((char *)memory - APART, APART + size + APART);
}
