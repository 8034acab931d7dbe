/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's limit of open descriptors (RLIMIT_NOFILE), and melin's room above it. While melin
 * opens descriptors the limit is raised (common/descriptor_limit.h), so that they take nothing from
 * the program. If the program lowers its hard limit, the kernel's limit stays higher than that by
 * KERNEL_HIDDEN_NUMBERS, since there would be no room for melin otherwise; the program is told the
 * limit that it asked for. Not for the descriptors themselves (descriptors.h).
 */
#ifndef MELIN_DESCRIPTOR_ROOM_H
#define MELIN_DESCRIPTOR_ROOM_H

#include <sys/resource.h>

/*
 * Around the calls by which melin opens descriptors: the limit is raised between the two. Any
 * thread and signal handlers may call them, and the stretches of two threads may overlap. errno is
 * kept.
 */
void descriptor_room_begin(void);
void descriptor_room_end(void);

/*
 * prlimit(2) for the program's own RLIMIT_NOFILE. wanted is NULL if the limit stays, before is NULL
 * if the program does not ask for it. 0, or -EFAULT, -EINVAL, -EPERM as prlimit(2) says.
 */
int descriptor_room_limit(const struct rlimit *wanted, struct rlimit *before);

/*
 * The program's limit, if it has set a lower one than usual; else usual, which then is no more than
 * a guess. Any thread, without a lock.
 */
rlim_t descriptor_room_at_least(rlim_t usual);

/*
 * Around fork(): the child begins with the limit that the program has asked for, whatever another
 * thread of the parent is opening. The third is called in the child, after the second.
 */
void descriptor_room_before_fork(void);
void descriptor_room_after_fork(void);
void descriptor_room_forked(void);

#endif
