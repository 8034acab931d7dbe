/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket options that repair.c and repair_give.c read and set, by instruction. Each returns 0
 * or a negative errno value.
 */
#ifndef MELIN_REPAIR_CALLS_H
#define MELIN_REPAIR_CALLS_H

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/system_call.h"

static inline int set_int(int descriptor, int name, int value)
{
	return kernel_set_int(descriptor, IPPROTO_TCP, name, value);
}

static inline int set_socket_int(int descriptor, int name, int value)
{
	return kernel_set_int(descriptor, SOL_SOCKET, name, value);
}

static inline int get(int descriptor, int level, int name, void *value, socklen_t *size)
{
	return (int)kernel_call5(SYS_getsockopt, descriptor, level, name, (long)value, (long)size);
}

static inline int get_int(int descriptor, int level, int name, void *value)
{
	socklen_t size = sizeof(int);

	return get(descriptor, level, name, value, &size);
}

/* Stores in *number the sequence number behind the last byte of the queue. */
static inline int read_number(int descriptor, int queue, uint32_t *number)
{
	int error = set_int(descriptor, TCP_REPAIR_QUEUE, queue);

	return error ?: get_int(descriptor, IPPROTO_TCP, TCP_QUEUE_SEQ, number);
}

#endif
