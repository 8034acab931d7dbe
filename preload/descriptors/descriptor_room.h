/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's limit of open descriptors (RLIMIT_NOFILE), and melin's room above it: what melin
 * opens is opened in stretches in which the limit is raised (common/descriptor_limit.h), and
 * so takes nothing from the program. A program that lowers its hard limit gets one that is higher
 * by KERNEL_HIDDEN_NUMBERS, and is told what it asked for: without it there would be no
 * room any more. Not for the descriptors themselves (descriptors.h).
 */
#ifndef MELIN_DESCRIPTOR_ROOM_H
#define MELIN_DESCRIPTOR_ROOM_H

#include <stdbool.h>
#include <sys/resource.h>

/* Around the opening, on any thread and in handlers; they may overlap. errno is kept. */
void descriptor_room_begin(void);
void descriptor_room_end(void);
/* In between: melin's numbers are all above the program's limit. */
bool descriptor_room_is_raised(void);

/*
 * prlimit(2) for the program's own RLIMIT_NOFILE; either may be NULL. 0, or -EFAULT, -EINVAL,
 * -EPERM as the kernel.
 */
int descriptor_room_limit(const struct rlimit *wanted, struct rlimit *before);

/* Around fork(): no child is born with a raised limit, nor with a higher one than asked for. */
void descriptor_room_before_fork(void);
void descriptor_room_after_fork(void);
void descriptor_room_forked(void); /* in the child, after the former */

#endif
