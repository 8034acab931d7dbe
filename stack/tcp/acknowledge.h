/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When received data is acknowledged without an answer to carry the acknowledgement: at once,
 * before the next look at the device, or when lwIP's timer says so. Not for what is out of order or
 * outside the window: lwIP answers that at once.
 */
#ifndef MELIN_ACKNOWLEDGE_H
#define MELIN_ACKNOWLEDGE_H

#include "stack/socket/socket.h"

/* From lwIP's callbacks: the PCB has received data in order, or the peer's FIN. */
void acknowledge_data(struct stack_socket *socket);
void acknowledge_fin(struct stack_socket *socket);
/* The program has read. */
void acknowledge_read(struct stack_socket *socket);
/* It has sent something: its answers carry the acknowledgements from now on. */
void acknowledge_answer(struct stack_socket *socket);
/* A segment leaves; each carries one. */
void acknowledge_sent(struct stack_socket *socket);

/* Sends what is owed. Called before each look for new segments. */
void acknowledge_owed(struct stack *stack);
/* The socket is as new. */
void acknowledge_reset(struct stack_socket *socket);
/* The PCB is gone. */
void acknowledge_forget(struct stack_socket *socket);

#endif
