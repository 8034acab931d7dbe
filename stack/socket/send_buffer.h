/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The send buffer of a socket: how much of what the program writes is taken before the peer has
 * acknowledged what was written earlier. The data itself is in lwIP's segments. Nothing here
 * changes a connection; the lock is held. Not for the writing: send.h.
 */
#ifndef MELIN_SEND_BUFFER_H
#define MELIN_SEND_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stack_socket;

struct send_buffer {
	uint32_t credit; /* what pcb->snd_buf is when nothing is queued */
	bool blocked;	 /* send found no memory, and tries again with the timer */
};

/* Sets the credit after SO_SNDBUF or by autotuning. */
void send_buffer_set_credit(struct stack_socket *socket, uint32_t credit);
/* What the peer has not acknowledged, sent or not: a FIN has a number, too. SIOCOUTQ. */
size_t send_buffer_unacknowledged(const struct stack_socket *socket);
/* The bytes among it. */
size_t send_buffer_queued(const struct stack_socket *socket);
/* How many bytes a write would be taken of now. */
size_t send_buffer_room(const struct stack_socket *socket);
/* Whether that is enough to wake a writer for: EPOLLOUT. */
bool send_buffer_has_room(const struct stack_socket *socket);

#endif
