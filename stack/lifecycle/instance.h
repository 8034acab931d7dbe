/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every call into an instance begins and ends with: the lock, the look for frames, and what is
 * done before the lock is let go of. Not for what an instance is made of: instance_parts.h.
 */
#ifndef MELIN_INSTANCE_H
#define MELIN_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/instance_parts.h"

/* False: another thread has it. */
bool instance_try_lock(struct stack *stack);
void instance_unlock(struct stack *stack);

/* Takes the lock and reads the clock. 0, or -EDEADLK from within the stack. */
int instance_enter(struct stack *stack);
/*
 * Delivers in-process segments, runs due timers, flushes the device, reports events and lets go of
 * the lock.
 */
void instance_leave(struct stack *stack);
/* The same; *deadline is when poll() must be called even without input. NULL: not wanted. */
void instance_leave_with_deadline(struct stack *stack, uint64_t *deadline);
/* All that leaving does but letting go of the lock. */
void instance_settle(struct stack *stack);

/*
 * Acknowledges what is owed and receives what the device has; the lock is held. Returns the number
 * of frames.
 */
unsigned instance_receive(struct stack *stack);
/* Receives what came before its connection did: stack/ip/early_frames.h; the lock is held. */
void instance_receive_early(struct stack *stack);
/*
 * Looks what has become of the device, which may have gone down, come back, or have another
 * address. The lock is held. To be called when a thread has woken up for nothing, since that is
 * how a device that is gone shows.
 */
void instance_attend(struct stack *stack);

/* stack_operations.poll, catch_up and counters */
int instance_poll(struct stack *stack);
void instance_catch_up(struct stack *stack);
void instance_counters(struct stack *stack, struct stack_counters *counters);
/* The same with the lock held. */
void instance_read_counters(struct stack *stack, struct stack_counters *counters);

#endif
