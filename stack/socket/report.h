/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a call into the stack, or a poll, has changed about sockets is told to preload when it is
 * over, and what lwIP must not see done in the middle of it is done. Not for noting the changes:
 * readiness.h.
 */
#ifndef MELIN_REPORT_H
#define MELIN_REPORT_H

struct stack;

/*
 * Frees the children that listeners have buried, and calls stack_callbacks.event() for each socket
 * with news, in the order in which these came. The lock is held, also while it calls back.
 */
void report_events(struct stack *stack);

#endif
