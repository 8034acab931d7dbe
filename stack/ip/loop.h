/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Delivery within the process: segments between two sockets of one instance. Nothing leaves the
 * process and no device is touched.
 */
#ifndef MELIN_LOOP_H
#define MELIN_LOOP_H

#include <stdbool.h>

struct stack;

/* Adds the interface that carries them. */
void loop_start(struct stack *stack);
/* Hands queued segments to TCP until there are none; answers are queued and handed over too. */
unsigned loop_deliver(struct stack *stack);
/* Throws away what is queued. */
void loop_stop(struct stack *stack);

#endif
