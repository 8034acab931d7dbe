/* SPDX-License-Identifier: BSD-3-Clause */
/* See shared_memory.h. */
#include "common/shared_memory.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include "common/system_call.h"

void *shared_memory_map(int descriptor, off_t offset, size_t size, int protection)
{
	void *memory = mmap(NULL, size, protection, MAP_SHARED, descriptor, offset);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, size, MADV_DONTFORK);
	return memory;
}

bool shared_memory_allowed(size_t size)
{
	struct rlimit limit;

	return kernel_call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit) == 0 &&
	       limit.rlim_cur >= size;
}
