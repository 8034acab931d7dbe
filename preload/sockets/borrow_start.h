/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where host mode begins and ends: who is told of what, and the connections that the program was
 * started with. Not for the stack's start: process_stack.h.
 */
#ifndef MELIN_BORROW_START_H
#define MELIN_BORROW_START_H

/* The library begins in host mode: connections that were inherited may be lent. */
void borrow_begin(void);

#endif
