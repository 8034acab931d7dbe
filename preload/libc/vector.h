/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's iovec as the kernel imports it: a copy, since the program's own may change or go
 * away while the call waits. Not for what it points to.
 */
#ifndef MELIN_VECTOR_H
#define MELIN_VECTOR_H

#include <stddef.h>
#include <sys/uio.h>

#define VECTOR_FEW 8 /* as the kernel's UIO_FASTIOV: so many need no memory */

struct vector {
	struct iovec few[VECTOR_FEW];
	struct iovec *iov;
	size_t count, bytes;
};

/* With signals held. 0: vector_end() is to follow; -EINVAL, -EFAULT, -ENOMEM. */
int vector_begin(struct vector *vector, const struct iovec *iov, size_t count);
void vector_end(struct vector *vector);

#endif
