/* SPDX-License-Identifier: BSD-3-Clause */
/* readv(2)'s vectors of buffers, for all parts. */
#ifndef MELIN_IO_VECTOR_H
#define MELIN_IO_VECTOR_H

#include <stddef.h>
#include <sys/uio.h>

/* The bytes of all its buffers. */
static inline size_t io_vector_size(const struct iovec *iov, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size;
}

#endif
