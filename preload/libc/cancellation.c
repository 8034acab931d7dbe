/* SPDX-License-Identifier: BSD-3-Clause */
/* See cancellation.h. */
#include "preload/libc/cancellation.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/single_threaded.h>

#include "preload/libc/interruptible.h"
#include "preload/libc/signals.h"
#include "preload/libc/symbols.h"

static long sleep_in_call(const struct system_call *call, bool deaf)
{
	static const uint64_t no_signals;

	return interruptible_call(call, deaf ? &no_signals : &signals_thread.deferred);
}

struct cancellation {
	void (*cancelled)(void *argument);
	void *argument;
};

/* The thread ends: the program's clean-up functions and what they call come next. */
static void give_up(void *argument)
{
	const struct cancellation *cancellation = argument;

	signals_thread.depth = 1; /* until everything is given back */
	cancellation->cancelled(cancellation->argument);
	signals_thread.depth = 0;
	signals_thread.asynchronous = false;
	signals_run_deferred();
}

/*
 * pthread_cancel(3) reaches a thread in a system call of its own only if it may be cancelled at any
 * instruction: so it may, around this one. The clean-up is a longjmp() away, since -fexceptions
 * would make us depend on more than libc: no variable of this function is changed meanwhile.
 */
long cancellation_call(const struct system_call *call, bool deaf, void (*cancelled)(void *),
		       void *argument)
{
	struct cancellation cancellation = { cancelled, argument };
	long result;

	/* A process of one thread has none that could cancel it, nor make one, while it sleeps. */
	if (!cancelled || __libc_single_threaded)
		return sleep_in_call(call, deaf);
	pthread_cleanup_push(give_up, &cancellation);
	libc()->pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	result = sleep_in_call(call, deaf);
	libc()->pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
	pthread_cleanup_pop(0);
	return result;
}

void cancellation_test(void (*cancelled)(void *), void *argument)
{
	struct cancellation cancellation = { cancelled, argument };

	pthread_cleanup_push(give_up, &cancellation);
	pthread_testcancel();
	pthread_cleanup_pop(0);
}
