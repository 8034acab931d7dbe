/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of the instance's own to run functions on. A driver of DPDK's takes 16 KB of the
 * processor's stack to receive a burst (net_af_xdp), and a thread or a coroutine of the program's,
 * or a handler on its alternate stack, may have less than that in all. Not for functions that
 * wait, or that may be left by a jump.
 */
#ifndef MELIN_CALL_STACK_H
#define MELIN_CALL_STACK_H

#include <stdbool.h>

#include "common/call_on.h"

struct call_stack {
	void *top;   /* NULL: there is none, and functions run on their caller's stack */
	bool in_use; /* what runs there calls directly */
};

/* Without memory for it (ENOMEM) functions run on their caller's stack. */
void call_stack_open(struct call_stack *call_stack);
/* Not from a function that runs on it. */
void call_stack_close(struct call_stack *call_stack);

/*
 * function(argument) on that stack. One thread at a time, with signals held (stack_callbacks'
 * lock_enter()): a handler of the program's must not look for its own thread's stack there.
 */
static inline void call_stack_run(struct call_stack *call_stack, void (*function)(void *),
				  void *argument)
{
	if (!call_stack->top || call_stack->in_use) {
		function(argument);
		return;
	}
	call_stack->in_use = true;
	call_on(function, argument, call_stack->top);
	call_stack->in_use = false;
}

#endif
