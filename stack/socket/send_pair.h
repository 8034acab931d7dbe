/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An answer that the program sends in two calls, a header and then a body. Over the kernel these
 * are two segments, and so they are here the first times. If that is the connection's habit, the
 * first part waits for the second one, which leaves with it: a frame costs both hosts more than all
 * that the stack does for it. Not for what the program asks for itself (MSG_MORE, TCP_CORK:
 * output.h).
 *
 * Whatever the program calls next of the stack, but for the second send(), lets the first part go,
 * and the background thread does if it calls nothing for some milliseconds. So who waits, or reads
 * another connection, has sent. The instance's lock is held in all calls.
 */
#ifndef MELIN_SEND_PAIR_H
#define MELIN_SEND_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stack;
struct stack_socket;

struct send_pair {
	uint32_t first_us; /* the clock's time of the turn's first send(), us; it wraps */
	uint8_t sends;	   /* of this turn, since the program has read */
	uint8_t habit;	   /* turns on end that had two */
};

/* The program has sent so many bytes, and wants them to leave. True: they wait for what follows. */
bool send_pair_waits(struct stack_socket *socket, size_t size);
/* The program has read: a turn has ended. */
void send_pair_read(struct stack_socket *socket);

/* Lets go what waits. Costs a comparison if nothing does. */
void send_pair_release(struct stack *stack);

#endif
