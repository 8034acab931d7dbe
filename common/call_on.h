/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls a function on another piece of memory than the thread's stack. Not for that memory, nor for
 * going back and forth between two stacks.
 */
#ifndef MELIN_CALL_ON_H
#define MELIN_CALL_ON_H

/*
 * function(argument), whose stack grows down from top, which is a multiple of 16. It may be left by
 * a jump or by the thread's end: to the unwinder its caller is the caller of this.
 */
void call_on(void (*function)(void *), void *argument, void *top);

#endif
