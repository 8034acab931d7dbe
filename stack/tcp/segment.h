/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of the segment checks that others call; the hooks themselves are in lwip_hooks.h.
 */
#ifndef MELIN_SEGMENT_H
#define MELIN_SEGMENT_H

struct stack_socket;

/* The connection is going, and with it what it held back. */
void segment_forget_out_of_order(struct stack_socket *socket);

#endif
