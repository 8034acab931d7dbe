/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A socket and its PCB, lwIP's half of a connection: how they come together and part. The lock is
 * held. Not for making a PCB (connect.c, listen.c) nor for ending a connection (close.h).
 */
#ifndef MELIN_PCB_H
#define MELIN_PCB_H

struct stack_socket;
struct tcp_pcb;

/* The PCB, which has just been made, becomes the socket's: it gets its options and callbacks. */
void pcb_attach(struct stack_socket *socket, struct tcp_pcb *pcb);
/*
 * The socket has no PCB any more. The PCB is not touched beyond that: it lives on in lwIP, which
 * then tells nobody what becomes of it, until the caller or a timeout ends it.
 */
void pcb_detach(struct stack_socket *socket);
/*
 * The handshake is done: the socket is connected, and what depends on both ends' SYNs (the size of
 * segments, the windows, the first round trip) is set.
 */
void pcb_established(struct stack_socket *socket);

#endif
