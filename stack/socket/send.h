/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * send(2). Not for the room that there is (send_buffer.h), nor for when the data leaves (output.h).
 */
#ifndef MELIN_SEND_H
#define MELIN_SEND_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct stack_socket;

ssize_t send_data(struct stack_socket *socket, const struct iovec *iov, size_t count, int flags);

#endif
