/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many segments lwIP may hold back until earlier ones come, over all connections. Not for
 * where they are kept: that is lwIP's list, and reassembly.h.
 */
#ifndef MELIN_OUT_OF_ORDER_H
#define MELIN_OUT_OF_ORDER_H

#include <stdbool.h>

struct stack_socket;
struct tcp_pcb;

/* Whether lwIP may keep one more; it is counted then. socket NULL: nobody will read it. */
bool out_of_order_may_wait(struct stack_socket *socket, const struct tcp_pcb *pcb);
/* Counts a segment that came out of order, wherever it is kept: for TCP_INFO and for preload. */
void out_of_order_note(struct stack_socket *socket);
/* The connection is going, and with it what it held back. */
void out_of_order_forget(struct stack_socket *socket);

#endif
