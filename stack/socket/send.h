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

/*
 * stack_operations.send, but it does not look for input that may make room: -EAGAIN is what is
 * known so far, and the call can be made again without harm.
 */
ssize_t send_data(struct stack_socket *socket, const struct iovec *iov, size_t count, int flags);

#endif
