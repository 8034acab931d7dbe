/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A socket and its PCB, lwIP's half of a connection: how they come together and part. The lock is
 * held. Not for making a PCB (connect.c, listen.c) nor for ending a connection (close.h).
 */
#ifndef MELIN_PCB_H
#define MELIN_PCB_H

struct stack_socket;
struct tcp_pcb;

/* Gives a fresh PCB this socket's options, window and callbacks. */
void socket_attach(struct stack_socket *socket, struct tcp_pcb *pcb);
/* Lets the PCB go its way without the socket. */
void socket_detach(struct stack_socket *socket);
/* The handshake is done: times, windows. */
void socket_established(struct stack_socket *socket);

#endif
