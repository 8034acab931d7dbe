/* SPDX-License-Identifier: BSD-3-Clause */
/* See call_stack.h. */
#include "stack/instance/call_stack.h"

#include <stddef.h>

#include "common/stack_memory.h"

/* What the largest driver takes, four times; only touched pages cost memory. */
#define SIZE (128 * 1024)

void call_stack_open(struct call_stack *call_stack)
{
	char *memory = stack_memory_new(SIZE);

	call_stack->top = memory ? memory + SIZE : NULL;
	call_stack->in_use = false;
}

void call_stack_close(struct call_stack *call_stack)
{
	if (call_stack->top)
		stack_memory_free((char *)call_stack->top - SIZE, SIZE);
	call_stack->top = NULL;
}
