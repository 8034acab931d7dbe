/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Processes that end. A process that was killed has its descriptors, and what the kernel does for
 * them, until its memory is freed: 100 ms for each GB, and longer on a busy machine. Who starts
 * right after it finds them taken, and has to tell that from a process that goes on.
 */
#ifndef MELIN_ENDING_H
#define MELIN_ENDING_H

#include <stdbool.h>

/*
 * Whether any process that /proc shows is about to end, or has begun to. Which descriptors it has
 * cannot be known any more, so that it may be one that has nothing to do with the caller. Reads a
 * file of each process: for when something is taken, not before. Any thread.
 */
bool process_ending_any(void);

#endif
