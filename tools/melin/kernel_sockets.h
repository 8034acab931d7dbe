/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TCP connections of a process as the kernel knows them: what ss(8) shows, by sock_diag(7) and
 * /proc/PID/fd. Not for what melin knows of them (snapshot.h).
 */
#ifndef MELIN_KERNEL_SOCKETS_H
#define MELIN_KERNEL_SOCKETS_H

#include <linux/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct kernel_socket {
	uint64_t inode;
	int descriptor; /* the lowest that the process has it by */
	uint8_t state;	/* TCP_ESTABLISHED and so on */
	struct sockaddr_storage local, peer;
	uint32_t receive_queue, send_queue; /* bytes */
	struct tcp_info info;
};

/*
 * All connections that the process has a descriptor of, by descriptor; listeners are none. 0 and
 * the list, which the caller frees; or a negative errno value: -EACCES, -EPERM: the process is in a
 * network namespace that this user may not enter.
 */
int kernel_sockets(pid_t process, struct kernel_socket **list, size_t *count);

/* The inode of a descriptor of the process that is a socket; 0: it is none. */
uint64_t kernel_socket_inode(pid_t process, int descriptor);

#endif
