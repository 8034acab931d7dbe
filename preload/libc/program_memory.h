/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the program's pointers lead anywhere, now. The kernel answers a bad one with EFAULT; a
 * library that just used it would end the program. Not for melin's own memory.
 *
 * A byte of each page is touched by an instruction whose fault is caught (signals.c), which costs a
 * nanosecond and knows of every munmap(2), mprotect(2) and truncation so far. It is to be used just
 * before the memory is, and after each sleep again; another thread that takes the memory away in
 * between ends the program. So does a bad pointer in a thread that blocks SIGSEGV or SIGBUS: the
 * kernel then asks no handler.
 */
#ifndef MELIN_MEMORY_H
#define MELIN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

bool memory_readable(const void *start, size_t length);
/* It is to be written soon: a byte of each page is, with the value that it has. */
bool memory_writable(void *start, size_t length);

/* From the start, how many bytes are; up to length. */
size_t memory_readable_bytes(const void *start, size_t length);
size_t memory_writable_bytes(void *start, size_t length);

/* Of the bytes that the vector describes, the first so many. The vector itself must be good. */
bool memory_writable_vector(const struct iovec *iov, size_t count, size_t bytes);

/* As the kernel's copy_from_user() and copy_to_user(): false is EFAULT. */
bool memory_copy_in(void *to, const void *from, size_t length);
bool memory_copy_out(void *to, const void *from, size_t length);

/* From the handler of SIGSEGV and SIGBUS: whether it was a look of ours, which goes on then. */
bool memory_fault(void *context);

#endif
