/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Room for descriptors of melin's own above the program's limit (RLIMIT_NOFILE). The kernel looks
 * at the limit only when it gives a number out: a descriptor that was opened under a raised limit
 * stays when the limit is as before, is not counted, and its number is none that the program could
 * get. Not for choosing the number: own_descriptor() takes the last ones below the limit.
 */
#ifndef MELIN_DESCRIPTOR_LIMIT_H
#define MELIN_DESCRIPTOR_LIMIT_H

#include <stdbool.h>
#include <sys/resource.h>

/*
 * Raises the limit by KERNEL_HIDDEN_NUMBERS, as far as the hard limit or CAP_SYS_RESOURCE allow,
 * and stores the program's in *program. False: it stays as it is, since there are no rights, or
 * since the kernel's table would become large. Any thread, but one at a time: the limit is the
 * process's.
 */
bool descriptor_limit_raise(struct rlimit *program);
void descriptor_limit_restore(const struct rlimit *program);

#endif
