/* SPDX-License-Identifier: BSD-3-Clause */
/* See vector.h. */
#include "preload/libc/vector.h"

#include <errno.h>
#include <limits.h>
#include <sys/types.h>

#include "preload/libc/program_memory.h"
#include "preload/libc/scratch.h"

/* Linux's MAX_RW_COUNT: no call transfers more. */
#define BYTES_MAX ((size_t)INT_MAX & ~(size_t)4095)

static int import(struct vector *vector, const struct iovec *iov)
{
	if (!memory_copy_in(vector->iov, iov, vector->count * sizeof(*iov)))
		return -EFAULT;
	for (size_t i = 0; i < vector->count; i++) {
		struct iovec *each = &vector->iov[i];

		if ((ssize_t)each->iov_len < 0)
			return -EINVAL;
		if (each->iov_len > BYTES_MAX - vector->bytes)
			each->iov_len = BYTES_MAX - vector->bytes;
		vector->bytes += each->iov_len;
	}
	return 0;
}

int vector_begin(struct vector *vector, const struct iovec *iov, size_t count)
{
	int result;

	if (count > IOV_MAX)
		return -EINVAL;
	vector->count = count;
	vector->bytes = 0;
	vector->iov = count > VECTOR_FEW ? scratch_get(count * sizeof(*iov)) : vector->few;
	if (!vector->iov)
		return -ENOMEM;
	result = import(vector, iov);
	if (result < 0)
		vector_end(vector);
	return result;
}

void vector_end(struct vector *vector)
{
	if (vector->iov != vector->few)
		scratch_put(vector->iov);
}
