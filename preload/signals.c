/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's signal actions and the handler in front of them. Not for masks: they are the
 * program's own and stay untouched.
 */
#include "signals.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/system_call.h"
#include "symbols.h"

__thread struct signals_thread signals_thread;

/* What the program asked for. Two copies, so that a handler never reads half of a change. */
struct program_action {
	struct sigaction copies[2];
	_Atomic unsigned current; /* release when a copy is complete; acquire in the handler */
};

static struct program_action actions[_NSIG];

/*
 * Protects changes of actions[]. All signals are blocked while it is held, but around a fork, where
 * they are deferred. Innermost, with the kernel's sigaction(2) alone inside.
 */
static pthread_mutex_t action_lock = PTHREAD_MUTEX_INITIALIZER;

/* Faults happen at an instruction; their handlers need that very context, at once. */
static bool is_fault(int number)
{
	return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
	       number == SIGTRAP || number == SIGABRT || number == SIGSYS;
}

/* signal(7): those whose default action ends the process; SIGKILL is nobody's to handle. */
static bool is_deadly(int number)
{
	return number != SIGKILL && number != SIGSTOP && number != SIGTSTP && number != SIGTTIN &&
	       number != SIGTTOU && number != SIGCONT && number != SIGCHLD && number != SIGURG &&
	       number != SIGWINCH;
}

static bool standing_in;       /* signals_stand_in() was called; action_lock */
static void (*farewell)(void); /* before a signal ends the process; set once, before it can */

static const struct sigaction *current_action(int number)
{
	struct program_action *action = &actions[number];

	return &action->copies[atomic_load_explicit(&action->current, memory_order_acquire) & 1];
}

static void handler(int number, siginfo_t *info, void *context);

/* The process ends as if nobody had stood in. */
static void end_by(int number, siginfo_t *info)
{
	static const struct sigaction standard = { .sa_handler = SIG_DFL };
	const long process = kernel_call(SYS_getpid, 0, 0, 0, 0);
	const long thread = kernel_call(SYS_gettid, 0, 0, 0, 0);

	farewell();
	libc()->sigaction(number, &standard, NULL);
	if (kernel_call(SYS_rt_tgsigqueueinfo, process, thread, number, (long)info) < 0)
		kernel_call(SYS_tgkill, process, thread, number, 0);
}

/*
 * A fault may come while a lock of melin's is held: then there is no farewell. The instruction is
 * tried again, so that a core dump shows it.
 */
static void fault(int number, siginfo_t *info, void *context)
{
	static const struct sigaction standard = { .sa_handler = SIG_DFL };

	(void)context;
	if (signals_thread.depth == 0)
		farewell();
	libc()->sigaction(number, &standard, NULL);
	if (info->si_code <= 0 || number == SIGTRAP || number == SIGSYS)
		kernel_call(SYS_tgkill, kernel_call(SYS_getpid, 0, 0, 0, 0),
			    kernel_call(SYS_gettid, 0, 0, 0, 0), number, 0);
}

static void call(int number, siginfo_t *info, void *context)
{
	struct sigaction action = *current_action(number);

	if (action.sa_handler == SIG_DFL) {
		end_by(number, info);
		return;
	}
	signals_thread.handled++;
	if (!(action.sa_flags & SA_RESTART))
		signals_thread.interrupting++;
	if (signals_thread.waiter)
		signals_thread.wake(signals_thread.waiter);
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(number, info, context);
	else if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN)
		action.sa_handler(number);
}

/* The kernel's own signal sets have 64 bits. */
static uint64_t bit(int number)
{
	return UINT64_C(1) << (number - 1);
}

/*
 * What is blocked when the interrupted code goes on: the kernel's part of the set is its beginning.
 */
static void change_interrupted_mask(void *context, uint64_t block, uint64_t unblock)
{
	sigset_t *mask = &((ucontext_t *)context)->uc_sigmask;
	uint64_t bits;

	memcpy(&bits, mask, sizeof(bits));
	bits = (bits | block) & ~unblock;
	memcpy(mask, &bits, sizeof(bits));
}

/*
 * The kernel has taken a handler out that was for one signal only, and the signal is to come again.
 */
static void set_once_more(int number, const struct sigaction *action)
{
	struct sigaction ours = *action;

	ours.sa_sigaction = handler;
	ours.sa_flags |= SA_SIGINFO;
	libc()->sigaction(number, &ours, NULL);
}

/*
 * Gives the signal back to the kernel, for this thread, and blocks it until no lock is held: the
 * kernel keeps what came with it, and how many there are. In a child of fork(2), which inherits
 * none that wait, it is only unblocked.
 */
static void defer(int number, siginfo_t *info, void *context)
{
	const uint64_t deferred = bit(number);
	const long process = kernel_call(SYS_getpid, 0, 0, 0, 0);
	const long thread = kernel_call(SYS_gettid, 0, 0, 0, 0);

	/* At once: with SA_NODEFER it would come again here. */
	kernel_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&deferred, 0, sizeof(deferred));
	change_interrupted_mask(context, deferred, 0);
	signals_thread.deferred |= deferred;
	if (current_action(number)->sa_flags & (int)SA_RESETHAND)
		set_once_more(number, current_action(number));
	if (kernel_call(SYS_rt_tgsigqueueinfo, process, thread, number, (long)info) < 0)
		kernel_call(SYS_tgkill, process, thread, number, 0); /* the queue is full */
}

static void handler(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	if (signals_thread.depth > 0) {
		defer(number, info, context);
	} else {
		/* The thread was about to do that, and what this handler calls may do it first. */
		change_interrupted_mask(context, 0, signals_thread.deferred);
		signals_thread.deferred = 0;
		call(number, info, context);
	}
	errno = saved;
}

/* The thread holds no lock now: what has waited comes, under the masks the program asked for. */
void signals_run_deferred(void)
{
	const uint64_t deferred = signals_thread.deferred;

	signals_thread.deferred = 0;
	kernel_call(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&deferred, 0, sizeof(deferred));
}

/* With SA_SIGINFO, too, these two are no functions: the members are one word. */
static bool has_handler(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* It may come anywhere, and a second one, of whoever has no patience, ends the process at once. */
static struct sigaction stand_in_action(void (*function)(int, siginfo_t *, void *))
{
	return (struct sigaction){ .sa_sigaction = function,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER };
}

static int change(int number, const struct sigaction *action, struct sigaction *old)
{
	struct program_action *program = &actions[number];
	struct sigaction ours, before;
	unsigned next = program->current + 1;
	bool stand_in = standing_in && action && action->sa_handler == SIG_DFL && is_deadly(number);

	if (stand_in && is_fault(number)) {
		next--;
		ours = stand_in_action(fault);
		if (libc()->sigaction(number, &ours, &before) < 0)
			return -errno;
	} else if (action && (has_handler(action) || stand_in) && !is_fault(number)) {
		program->copies[next & 1] = *action;
		ours = stand_in ? stand_in_action(handler) : *action;
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
		if ((before.sa_flags & SA_SIGINFO) && before.sa_sigaction == fault)
			*old = (struct sigaction){ .sa_handler = SIG_DFL };
	}
	return 0;
}

/* The handler takes no lock, so it may run meanwhile; the program's handlers are deferred. */
void signals_before_fork(void)
{
	guarded_lock(&action_lock);
}

void signals_after_fork(void)
{
	guarded_unlock(&action_lock);
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

void signals_stand_in(void (*function)(void))
{
	struct sigaction before;
	sigset_t all, mask;

	if (kernel_call(SYS_getpid, 0, 0, 0, 0) == 1)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	pthread_mutex_lock(&action_lock);
	farewell = function;
	standing_in = true;
	for (int number = 1; number < _NSIG; number++)
		if (is_deadly(number) && libc()->sigaction(number, NULL, &before) == 0 &&
		    before.sa_handler == SIG_DFL)
			change(number, &before, NULL);
	pthread_mutex_unlock(&action_lock);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}
