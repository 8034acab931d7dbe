/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls that a thread's own signal handlers can end, without a moment in which one would be
 * missed. Not for cancellation (cancellation.h), nor for what is waited for (wait.h).
 */
#ifndef MELIN_INTERRUPTIBLE_H
#define MELIN_INTERRUPTIBLE_H

#include <stdint.h>

struct system_call {
	long number, a, b, c, d, e, f;
};

/*
 * Makes the call unless *waiting is set; -EINTR if so. A handler that interrupts it sets *waiting
 * and calls interruptible_leave(): the call then ends with -EINTR, whether or not the kernel would
 * start it again. The kernel's result; errno stays.
 */
long interruptible_call(const struct system_call *call, const volatile uint64_t *waiting);

/* From a signal handler, with what it has interrupted: if that is such a call, it ends. */
void interruptible_leave(void *context);

#endif
