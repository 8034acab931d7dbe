/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process's limits of addresses and of data (setrlimit(2)) where a stack is in its memory, or a
 * copy of its parent's: melin takes nothing of them. The kernel gets a limit that is higher by what
 * the stack holds, and the program sees its own one. Not for the limit of open descriptors
 * (descriptor_room.h), nor for whether a stack fits (start_limits.h).
 */
#ifndef MELIN_MEMORY_LIMIT_H
#define MELIN_MEMORY_LIMIT_H

#include <stdbool.h>
#include <sys/resource.h>

/* Whether it is one of the two, and there is something to make room for. Makes no system call. */
bool memory_limit_concerns(int resource);

/*
 * prlimit(2) of the process itself for such a limit. Either pointer is the program's, and may be
 * NULL. 0 or a negative errno value. Any thread; of two that set it at once either may be first.
 */
int memory_limit_change(int resource, const struct rlimit *wanted, struct rlimit *before);

#endif
