/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TCP connections of a process as the kernel knows them: what ss(8) shows, by sock_diag(7) and
 * /proc/PID/fd. Not for what melin knows of them (snapshot.h).
 */
#ifndef MELIN_KERNEL_SOCKETS_H
#define MELIN_KERNEL_SOCKETS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/status_page.h"

struct kernel_socket {
	struct status_row row; /* first; descriptor: the lowest that the process has it by */
	uint64_t inode;
};

/* For qsort(3) and bsearch(3) of what begins with a struct status_row: by descriptor. */
int row_order(const void *a, const void *b);

/*
 * All connections that the process has a descriptor of, by descriptor; listeners are none. 0 and
 * the list, which the caller frees; or a negative errno value: -EACCES, -EPERM: the process is in a
 * network namespace that this user may not enter.
 */
int kernel_sockets(pid_t process, struct kernel_socket **list, size_t *count);

/* The inode of a descriptor of the process that is a socket; 0: it is none. */
uint64_t kernel_socket_inode(pid_t process, int descriptor);

#endif
