/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When received data is acknowledged without an answer to carry the acknowledgement: at once,
 * before the next look at the device, or when lwIP's timer says so. Not for what is out of order or
 * outside the window: lwIP answers that at once.
 */
#ifndef MELIN_ACKNOWLEDGE_H
#define MELIN_ACKNOWLEDGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct stack;
struct stack_socket;

/* What a socket keeps of the data that it has received, to acknowledge it. */
struct acknowledge {
	uint64_t last_data;	 /* ms: when data came in last */
	uint32_t unacknowledged; /* segments with data since the last acknowledgement */
	uint8_t quick_acks;	 /* segments that are still acknowledged without delay */
	bool interactive;	 /* the program answers what it receives */
	bool is_owing;		 /* in stack->owing */
	LIST_ENTRY(stack_socket) owing;
};

/* From lwIP's callbacks: the PCB has received data in order, or the peer's FIN. */
void acknowledge_data(struct stack_socket *socket);
void acknowledge_fin(struct stack_socket *socket);
/* The program has read: what is owed may be acknowledged. */
void acknowledge_read(struct stack_socket *socket);
/* The program has sent something: its answers carry the acknowledgements from now on. */
void acknowledge_answer(struct stack_socket *socket);
/* A segment leaves. Each one acknowledges all that has come. */
void acknowledge_sent(struct stack_socket *socket);

/* Sends what is owed. Called before each look for new segments. */
void acknowledge_owed(struct stack *stack);
/* The socket has no connection any more: forgets what the last one's peer and program did. */
void acknowledge_reset(struct stack_socket *socket);
/* The PCB is gone: nothing is owed any more. */
void acknowledge_forget(struct stack_socket *socket);

#endif
