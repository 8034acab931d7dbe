/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's signal actions and the handler in front of them. Not for masks: they are the
 * program's own and stay untouched.
 */
#include "signals.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "symbols.h"
#include "wait.h"

__thread struct signals_thread signals_thread;

/* What the program asked for. Two copies, so that a handler never reads half of a change. */
struct program_action {
	struct sigaction copies[2];
	_Atomic unsigned current; /* release when a copy is complete; acquire in the handler */
};

static struct program_action actions[_NSIG];

/* Protects changes of actions[]. All signals are blocked while it is held. */
static pthread_mutex_t action_lock = PTHREAD_MUTEX_INITIALIZER;

/* Deferred signals of this thread: one of each number, as for a blocked standard signal. */
static __thread siginfo_t deferred_info[_NSIG] __attribute__((tls_model("initial-exec")));
/* The process that it came to, or 0: those of the parent are not for a child of fork(2). */
static __thread volatile pid_t deferred_in[_NSIG] __attribute__((tls_model("initial-exec")));

/* Faults happen at an instruction; their handlers need that very context, at once. */
static bool is_fault(int number)
{
	return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
	       number == SIGTRAP || number == SIGABRT || number == SIGSYS;
}

static const struct sigaction *current_action(int number)
{
	struct program_action *action = &actions[number];

	return &action->copies[atomic_load_explicit(&action->current, memory_order_acquire) & 1];
}

static void call(int number, siginfo_t *info, void *context)
{
	struct sigaction action = *current_action(number);

	signals_thread.handled++;
	if (!(action.sa_flags & SA_RESTART))
		signals_thread.interrupting++;
	if (signals_thread.waiter)
		waiter_interrupt(signals_thread.waiter);
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(number, info, context);
	else if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN)
		action.sa_handler(number);
}

static void handler(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	if (signals_thread.depth > 0) {
		deferred_info[number] = *info;
		deferred_in[number] = getpid();
		signals_thread.deferred = true;
	} else {
		call(number, info, context);
	}
	errno = saved;
}

/* The thread holds no lock now: run what has waited, under the masks the program asked for. */
void signals_run_deferred(void)
{
	int saved = errno;

	signals_thread.deferred = false;
	for (int number = 1; number < _NSIG; number++) {
		const struct sigaction *action = current_action(number);
		sigset_t mask, before;
		siginfo_t info;

		if (!deferred_in[number])
			continue;
		mask = action->sa_mask;
		if (!(action->sa_flags & SA_NODEFER))
			sigaddset(&mask, number);
		pthread_sigmask(SIG_BLOCK, &mask, &before);
		info = deferred_info[number];
		deferred_in[number] = 0;
		call(number, &info, NULL);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	errno = saved;
}

/* What has come to the child by now stays: only the number tells it from the parent's. */
void signals_forked(void)
{
	const pid_t self = getpid();

	for (int number = 1; number < _NSIG; number++)
		if (deferred_in[number] && deferred_in[number] != self)
			deferred_in[number] = 0;
}

static bool has_handler(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) ||
	       (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static int change(int number, const struct sigaction *action, struct sigaction *old)
{
	struct program_action *program = &actions[number];
	struct sigaction ours, before;
	unsigned next = program->current + 1;

	if (action && has_handler(action) && !is_fault(number)) {
		program->copies[next & 1] = *action;
		ours = *action;
		ours.sa_sigaction = handler;
		ours.sa_flags |= SA_SIGINFO;
		/* The copy first: the handler may run as soon as the kernel knows it. */
		atomic_store_explicit(&program->current, next, memory_order_release);
		if (libc()->sigaction(number, &ours, &before) < 0) {
			atomic_store_explicit(&program->current, next - 1, memory_order_release);
			return -errno;
		}
		next--; /* the old one is in the other copy */
	} else {
		next--;
		if (libc()->sigaction(number, action, &before) < 0)
			return -errno;
	}
	if (old) {
		*old = before;
		if ((before.sa_flags & SA_SIGINFO) && before.sa_sigaction == handler)
			*old = program->copies[next & 1];
	}
	return 0;
}

int signals_action(int number, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction copy;
	sigset_t all, before;
	int result;

	if (number < 1 || number >= _NSIG)
		return -EINVAL;
	if (action)
		copy = *action; /* old may be the same memory */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&action_lock);
	result = change(number, action ? &copy : NULL, old);
	pthread_mutex_unlock(&action_lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}
