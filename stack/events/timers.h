/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When lwIP's timer functions and ours run. They only run when something is there to be timed, so
 * that an idle process sleeps.
 */
#ifndef MELIN_TIMERS_H
#define MELIN_TIMERS_H

#include <stdint.h>

struct stack;

void timers_start(struct stack *stack);
/* Runs what is due at the clock's time. */
void timers_run(struct stack *stack);
/* When timers_run() must be called next, CLOCK_MONOTONIC ns; UINT64_MAX: nothing is timed. */
uint64_t timers_deadline(const struct stack *stack);

#endif
