/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The beginning and the end of an instance: stack_operations.open, check, close and abandon. Not
 * for farewell(), which is the background thread's (background.h) and ends the connections only.
 */
#ifndef MELIN_LIFETIME_H
#define MELIN_LIFETIME_H

#include "stack/stack.h"

int lifetime_open(const struct stack_config *config, const struct stack_callbacks *callbacks,
		  struct stack **stack, struct reason *reason);
int lifetime_check(const struct stack_config *config, struct reason *reason);
void lifetime_close(struct stack *stack, unsigned linger_ms, struct stack_counters *counters);
void lifetime_abandon(struct stack *stack);

#endif
