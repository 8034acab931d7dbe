/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the program's pointers lead anywhere. The kernel answers a bad one with EFAULT; a
 * library that just used it would end the program. Not for melin's own memory.
 *
 * Asking the kernel costs several hundred nanoseconds, so each thread remembers the pages that
 * were good last. A page that is unmapped and used again while it is remembered crashes the
 * program, as it would anywhere else in user space.
 */
#ifndef MELIN_MEMORY_H
#define MELIN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

bool memory_readable(const void *start, size_t length);
bool memory_writable(void *start, size_t length);

/* Of the bytes that the vector describes, the first so many. The vector itself must be good. */
bool memory_readable_vector(const struct iovec *iov, size_t count, size_t bytes);
bool memory_writable_vector(const struct iovec *iov, size_t count, size_t bytes);

#endif
