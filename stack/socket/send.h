/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * send(2): the room in the send buffer. Not for when the data leaves: output.h.
 */
#ifndef MELIN_SEND_H
#define MELIN_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct stack_socket;

struct send_buffer {
	uint32_t credit; /* what pcb->snd_buf is when nothing is queued */
	bool blocked;	 /* send found no memory, and tries again with the timer */
};

ssize_t send_data(struct stack_socket *socket, const struct iovec *iov, size_t count, int flags);
size_t send_queued(const struct stack_socket *socket);
bool send_has_room(const struct stack_socket *socket);
/* Sets the credit after SO_SNDBUF or by autotuning. */
void send_set_credit(struct stack_socket *socket, uint32_t credit);

#endif
