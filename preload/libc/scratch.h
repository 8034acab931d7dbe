/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for the length of a call, where its arguments are too many for the thread's stack.
 * poll(2), select(2) and readv(2) may be called in a signal handler that has interrupted malloc(3),
 * so this is not malloc()'s. Not for what outlives a call.
 */
#ifndef MELIN_SCRATCH_H
#define MELIN_SCRATCH_H

#include <stddef.h>

/* With signals held, until it is given back. Not cleared. NULL: no memory (ENOMEM). */
void *scratch_get(size_t size);
/* Gives back what was got; NULL is allowed, as in free(3). */
void scratch_put(void *memory);

#endif
