/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls in which a thread sleeps while it holds signals (signals.h): a signal ends them, and
 * so does pthread_cancel(3). Not for what is waited for: wait.h.
 */
#ifndef MELIN_CANCELLATION_H
#define MELIN_CANCELLATION_H

#include <pthread.h>
#include <stdbool.h>

#include "preload/libc/signals.h"

struct system_call;

/*
 * Makes the call (interruptible.h). A signal that is waiting already or arrives ends it with
 * -EINTR. deaf: only signals that arrive during the call do, once each. The kernel's result; errno
 * stays.
 *
 * It is a cancellation point unless cancelled is NULL: cancelled(argument) then gives back all that
 * the thread holds but the signals, which are released after it.
 */
long cancellation_call(const struct system_call *call, bool deaf, void (*cancelled)(void *),
		       void *argument);

/*
 * The start of a call that pthreads(7) calls a cancellation point, before anything is done: a
 * thread that is to be cancelled ends here, even if the call would not have waited. Within melin's
 * own work (a driver's system call) this does nothing.
 */
static inline void cancellation_point(void)
{
	if (signals_thread.depth == 0)
		pthread_testcancel();
}

/* pthread_testcancel(3) with signals held; cancelled as above, not NULL. */
void cancellation_test(void (*cancelled)(void *), void *argument);

#endif
