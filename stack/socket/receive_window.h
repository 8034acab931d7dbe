/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How large the window is that the peer is offered: SO_RCVBUF, its growth with what the program
 * reads, and its bound under memory pressure. The lock is held. Not for when the peer is told.
 */
#ifndef MELIN_RECEIVE_WINDOW_H
#define MELIN_RECEIVE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

struct stack_socket;

struct receive_window {
	uint64_t read_start;	/* ns: since when read counts */
	uint32_t read;		/* bytes that the program has read since then */
	uint32_t pressure_most; /* the window's most under memory pressure; 0: no such limit */
};

/* Before a connection is established: the window that there is memory for. */
void receive_window_start(struct stack_socket *socket);
/* Another size of the receive buffer, and the window with it. What was announced stays. */
void receive_window_resize(struct stack_socket *socket, uint32_t size);
/* The program has read size bytes: it may be one that reads more if there is more. */
void receive_window_grow(struct stack_socket *socket, size_t size);
/* How much of the size bytes that were read the peer is offered anew. */
size_t receive_window_clamp(struct stack_socket *socket, size_t size);

#endif
