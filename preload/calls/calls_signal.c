/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: the ways to set a signal handler, and the call that takes one out. See signals.h for
 * why.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "preload/config/config.h"
#include "preload/libc/result.h"
#include "preload/libc/signals.h"
#include "preload/libc/symbols.h"

INTERPOSED int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	if (!config_active())
		return libc()->sigaction(number, action, old);
	return (int)as_libc(signals_action(number, action, old));
}

/* Signals that siginterrupt(3) has asked to interrupt; signal(3) looks at it, as libc's does. */
static sigset_t interrupting;

static signal_handler set_handler(int number, signal_handler handler, int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags }, old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&action.sa_mask);
	if (!(flags & (int)SA_RESETHAND))
		sigaddset(&action.sa_mask, number);
	if (sigaction(number, &action, &old) < 0)
		return SIG_ERR;
	return old.sa_handler;
}

INTERPOSED __attribute__((noreturn)) void abort(void)
{
	if (config_active())
		signals_before_abort();
	libc()->abort();
	__builtin_unreachable();
}

INTERPOSED signal_handler signal(int number, signal_handler handler)
{
	if (!config_active())
		return libc()->signal(number, handler);
	return set_handler(number, handler,
			   sigismember(&interrupting, number) == 1 ? 0 : SA_RESTART);
}

INTERPOSED signal_handler __sysv_signal(int number, signal_handler handler)
{
	if (!config_active())
		return libc()->__sysv_signal(number, handler);
	return set_handler(number, handler, (int)(SA_RESETHAND | SA_NODEFER));
}

INTERPOSED int siginterrupt(int number, int interrupts)
{
	struct sigaction action;

	if (!config_active())
		return libc()->siginterrupt(number, interrupts);
	if (sigaction(number, NULL, &action) < 0)
		return -1;
	if (interrupts) {
		sigaddset(&interrupting, number);
		action.sa_flags &= ~SA_RESTART;
	} else {
		sigdelset(&interrupting, number);
		action.sa_flags |= SA_RESTART;
	}
	return sigaction(number, &action, NULL);
}

/* System V's: the signal is blocked while its handler runs, and SIG_HOLD blocks it for good. */
INTERPOSED signal_handler sigset(int number, signal_handler handler)
{
	struct sigaction action = { .sa_handler = handler }, old;
	sigset_t set, before;

	if (!config_active())
		return libc()->sigset(number, handler);
	sigemptyset(&set);
	if (handler == SIG_ERR || sigaddset(&set, number) < 0) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (sigaction(number, handler == SIG_HOLD ? NULL : &action, &old) < 0 ||
	    sigprocmask(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, &set, &before) < 0)
		return SIG_ERR;
	return sigismember(&before, number) == 1 ? SIG_HOLD : old.sa_handler;
}

/* A thread that may be cancelled at any instruction must not be in the middle of melin's. */
INTERPOSED int pthread_setcanceltype(int type, int *old)
{
	if (!config_active())
		return libc()->pthread_setcanceltype(type, old);
	return signals_cancel_type(type, old);
}

INTERPOSED_ALIAS(sigaction, __sigaction);
INTERPOSED_ALIAS(signal, bsd_signal);
INTERPOSED_ALIAS(signal, ssignal);
INTERPOSED_ALIAS(__sysv_signal, sysv_signal);
