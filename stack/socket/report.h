/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a call into the stack, or a poll, has changed about sockets is told to preload when it is
 * over, and what lwIP must not see done in the middle of it is done. Not for noting the changes:
 * readiness.h.
 */
#ifndef MELIN_REPORT_H
#define MELIN_REPORT_H

struct stack;

/* Frees dead sockets, and calls back for all noted events. The lock is held. */
void socket_report(struct stack *stack);

#endif
