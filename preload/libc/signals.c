/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program's signal actions and the handler in front of them. Not for masks: they are the
 * program's own and stay untouched. Not for sleeping: interruptible.c.
 */
#include "preload/libc/signals.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "common/call_on.h"
#include "common/system_call.h"
#include "preload/libc/interruptible.h"
#include "preload/libc/program_memory.h"
#include "preload/libc/symbols.h"

#ifndef SS_AUTODISARM /* linux/signal.h, which cannot be had beside libc's signal.h */
#define SS_AUTODISARM (1u << 31)
#endif

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

static const struct sigaction *current_action(int number)
{
	struct program_action *action = &actions[number];

	return &action->copies[atomic_load_explicit(&action->current, memory_order_acquire) & 1];
}

/* With SA_SIGINFO, too, these two are no functions: the members are one word. */
static bool has_handler(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* ---- in front of the program's handlers ---- */

/* The kernel's own signal sets have 64 bits. */
static uint64_t bit(int number)
{
	return UINT64_C(1) << (number - 1);
}

/*
 * What is blocked when the interrupted code goes on: the kernel's part of the set is its beginning.
 * Returns what was to be.
 */
static uint64_t change_interrupted_mask(void *context, uint64_t block, uint64_t unblock)
{
	sigset_t *mask = &((ucontext_t *)context)->uc_sigmask;
	uint64_t before, bits;

	memcpy(&before, mask, sizeof(before));
	bits = (before | block) & ~unblock;
	memcpy(mask, &bits, sizeof(bits));
	return before;
}

static void handler(int number, siginfo_t *info, void *context);
static void fault_handler(int number, siginfo_t *info, void *context);

/* Faults happen at an instruction; their handlers need that very context, at once. */
static bool is_fault(int number)
{
	return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
	       number == SIGTRAP || number == SIGABRT || number == SIGSYS;
}

/* A look at the program's memory may end in one of these. */
static bool is_of_memory(int number)
{
	return number == SIGSEGV || number == SIGBUS;
}

/* signal(7): those whose default action ends the process; SIGKILL is nobody's to handle. */
static bool is_deadly(int number)
{
	return number != SIGKILL && number != SIGSTOP && number != SIGTSTP && number != SIGTTIN &&
	       number != SIGTTOU && number != SIGCONT && number != SIGCHLD && number != SIGURG &&
	       number != SIGWINCH;
}

static bool standing_in;       /* from signals_stand_in() to signals_stand_aside(); action_lock */
static void (*farewell)(void); /* before a signal ends the process; set once, before it can */
static _Atomic bool aside;     /* nothing of melin's asks the kernel before a signal's end */

/* The kernel's action for what the program asks for. action_lock. */
static struct sigaction with_front(int number, const struct sigaction *action)
{
	struct sigaction ours = *action;

	/* The kernel asks no handler about a fault whose signal is blocked or ignored. */
	sigdelset(&ours.sa_mask, SIGSEGV);
	sigdelset(&ours.sa_mask, SIGBUS);
	if (has_handler(action) && (!is_fault(number) || is_of_memory(number))) {
		ours.sa_flags |= SA_SIGINFO;
	} else if (is_of_memory(number) ||
		   (action->sa_handler == SIG_DFL && standing_in && is_deadly(number))) {
		/* It may come anywhere; a second one, of who is impatient, ends the process. */
		ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER;
		sigemptyset(&ours.sa_mask);
	} else {
		return ours;
	}
	ours.sa_sigaction = is_fault(number) ? fault_handler : handler;
	return ours;
}

/*
 * The kernel takes a handler for one signal only out, and this one is to come again, or was ours.
 */
static void set_once_more(int number, const struct sigaction *action)
{
	struct sigaction ours;

	if (!has_handler(action) || !(action->sa_flags & (int)SA_RESETHAND))
		return;
	ours = with_front(number, action);
	libc()->sigaction(number, &ours, NULL);
}

void signals_to_this_thread(int number, siginfo_t *info)
{
	const long process = kernel_call(SYS_getpid, 0, 0, 0, 0);
	const long thread = kernel_call(SYS_gettid, 0, 0, 0, 0);

	if (kernel_call(SYS_rt_tgsigqueueinfo, process, thread, number, (long)info) < 0)
		kernel_call(SYS_tgkill, process, thread, number, 0); /* the queue is full */
}

/* ---- signals that are put off ---- */

/* System calls are filtered, or are about to be. */
static _Atomic bool filtered;

/*
 * Behind a filter, which may kill for the calls that give a signal back to the kernel: what came
 * with those that the thread has put off. They are blocked meanwhile, so that each comes once, and
 * few at a time. One that finds no room here goes to the kernel all the same.
 */
#define KEPT_MOST 4

static __thread struct {
	_Atomic int count; /* another signal may come in the middle of keep() */
	siginfo_t infos[KEPT_MOST];
	stack_t stack; /* the thread's alternate one, as the last handler has found it */
} kept __attribute__((tls_model("initial-exec")));

static bool keep(const siginfo_t *info, const ucontext_t *context)
{
	int place;

	if (!atomic_load(&filtered) || kept.count == KEPT_MOST)
		return false;
	kept.stack = context->uc_stack;
	place = atomic_fetch_add(&kept.count, 1);
	if (place < KEPT_MOST) {
		kept.infos[place] = *info;
		return true;
	}
	atomic_fetch_sub(&kept.count, 1);
	return false;
}

/*
 * Gives the signal back to the kernel, for this thread, and blocks it until nothing is held: the
 * kernel keeps what came with it, and how many there are. In a child of fork(2), which inherits
 * none that wait, it is only unblocked.
 */
static void defer(int number, siginfo_t *info, void *context)
{
	const uint64_t deferred = bit(number);

	/* At once: with SA_NODEFER it would come again here. */
	kernel_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&deferred, 0, sizeof(deferred));
	if (change_interrupted_mask(context, deferred, 0) & deferred)
		signals_thread.let_in |= deferred;
	signals_thread.deferred |= deferred;
	interruptible_leave(context);
	if (keep(info, context))
		return;
	set_once_more(number, current_action(number));
	signals_to_this_thread(number, info);
}

/*
 * The instruction is tried again, and its fault ends the process: the kernel asks no handler about
 * one whose signal is blocked. This takes no call but the return from the handler.
 */
static void fault_again(int number, void *context)
{
	change_interrupted_mask(context, bit(number), 0);
}

/*
 * The process ends as if nobody had stood in. A fault may come while something of melin's is held:
 * then there is no farewell. Its instruction is tried again, so that a core dump shows it. What was
 * sent meanwhile by this process, to end it, waits for the farewell for as long as that may take.
 */
static void end_by(int number, siginfo_t *info, void *context)
{
	static const struct sigaction standard = { .sa_handler = SIG_DFL };

	if (is_of_memory(number) && info->si_code > 0 && atomic_load(&aside)) {
		fault_again(number, context);
		return;
	}
	if (farewell && !atomic_load(&aside) && (signals_thread.depth == 0 || info->si_code <= 0))
		farewell();
	libc()->sigaction(number, &standard, NULL);
	if (!is_fault(number) || info->si_code <= 0 || number == SIGTRAP || number == SIGSYS)
		signals_to_this_thread(number, info);
}

static int change(int number, const struct sigaction *action, struct sigaction *old);

/*
 * The kernel has taken a handler for one signal only out. What stands in for the default action is
 * there before the handler runs, which may send the signal once more, to end the process.
 */
static void stand_in_again(int number, const struct sigaction *action)
{
	struct sigaction standard = *action, now, unused;
	sigset_t all, mask;

	if (!has_handler(action) || !(action->sa_flags & (int)SA_RESETHAND) || atomic_load(&aside))
		return;
	standard.sa_handler = SIG_DFL;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	guarded_lock(&action_lock);
	if (libc()->sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		change(number, &standard, &unused);
	guarded_unlock(&action_lock);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

/* What the handler calls are calls of the program's own again, also if it does not return. */
static void call(const struct sigaction *action, int number, siginfo_t *info, void *context)
{
	const bool traced = signals_thread.traced;

	signals_thread.traced = false;
	stand_in_again(number, action);
	if (!(action->sa_flags & SA_RESTART))
		signals_thread.interrupting++;
	if (action->sa_handler == SIG_DFL || (action->sa_handler == SIG_IGN && is_fault(number)))
		end_by(number, info, context);
	else if (action->sa_handler == SIG_IGN)
		; /* since a moment ago */
	else if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(number, info, context);
	else
		action->sa_handler(number);
	signals_thread.traced = traced;
}

/* A signal that was kept, and its handler's turn. */
struct turn {
	struct sigaction action;
	siginfo_t *info;
	uint64_t before; /* the mask that the thread comes back to */
};

/* On the stack that the handler is to run on. It need not return. */
static void take_turn(void *argument)
{
	const struct turn *turn = argument;
	const struct sigaction *action = &turn->action;
	const int number = turn->info->si_signo;
	uint64_t mask;
	ucontext_t context;

	memcpy(&mask, &action->sa_mask, sizeof(mask));
	mask |= turn->before | (action->sa_flags & SA_NODEFER ? 0 : bit(number));
	getcontext(&context);
	memcpy(&context.uc_sigmask, &turn->before, sizeof(turn->before));
	context.uc_stack = kept.stack;
	kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof(mask));
	call(action, number, turn->info, &context);
}

/*
 * Where a handler's stack begins that asks for the alternate one; NULL: where the thread is now,
 * which may be that very stack. The kernel goes by the stack pointer alone, too, unless the stack
 * is one that is disarmed while a handler runs (SS_AUTODISARM): that takes a call, and is left out.
 */
static void *other_stack(const struct sigaction *action)
{
	const uintptr_t begin = (uintptr_t)kept.stack.ss_sp;
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	if (!(action->sa_flags & SA_ONSTACK) || !kept.stack.ss_size ||
	    (kept.stack.ss_flags & (int)(SS_DISABLE | SS_AUTODISARM)) ||
	    here - begin < kept.stack.ss_size)
		return NULL;
	return (void *)((begin + kept.stack.ss_size) & ~(uintptr_t)15);
}

/* As the kernel would. All signals are blocked. */
static void run_one(siginfo_t *info, uint64_t before)
{
	struct turn turn = { .action = *current_action(info->si_signo),
			     .info = info,
			     .before = before };
	void *top = other_stack(&turn.action);

	if (top)
		call_on(take_turn, &turn, top);
	else
		take_turn(&turn);
	kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before));
}

static void run_kept(void)
{
	static const uint64_t all = UINT64_MAX;
	const int errno_before = errno;
	uint64_t before;

	while (kept.count > 0) {
		siginfo_t info;

		/* No handler comes in between, which would do the same. */
		kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before,
			    sizeof(all));
		if (kept.count > 0) {
			info = kept.infos[--kept.count];
			run_one(&info, before);
		} else {
			kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0,
				    sizeof(before));
		}
	}
	errno = errno_before;
}

static void handler(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	if (signals_thread.depth > 0) {
		defer(number, info, context);
	} else {
		struct sigaction action = *current_action(number);

		/* The thread was about to do that, and what this handler calls may do it first. */
		change_interrupted_mask(context, 0,
					signals_thread.deferred & ~signals_thread.let_in);
		signals_thread.deferred = signals_thread.let_in = 0;
		kept.stack = ((const ucontext_t *)context)->uc_stack;
		run_kept();
		call(&action, number, info, context);
	}
	errno = saved;
}

/* abort(3) must end the process now; what another process sends can wait until nothing is held. */
static bool is_from_here(const siginfo_t *info)
{
	return info->si_pid == kernel_call(SYS_getpid, 0, 0, 0, 0);
}

/*
 * SIGSEGV and SIGBUS: melin's own look at the program's memory, or the program's affair. The others
 * come here to end the process.
 */
static void fault_handler(int number, siginfo_t *info, void *context)
{
	struct sigaction action = *current_action(number);
	const bool sent = info->si_code <= 0; /* by kill(2) and the like */

	if (!sent && memory_fault(context))
		set_once_more(number, &action);
	else if (sent && action.sa_handler == SIG_IGN)
		return; /* but a fault of the program's own cannot be ignored */
	else if (sent && (has_handler(&action) || !is_from_here(info)))
		handler(number, info, context);
	else
		call(&action, number, info, context);
}

/* ---- held signals ---- */

/* Nothing is held now: what has waited comes, under the masks the program asked for. */
void signals_run_deferred(void)
{
	const uint64_t deferred = signals_thread.deferred & ~signals_thread.let_in;

	signals_thread.deferred = signals_thread.let_in = 0;
	if (deferred)
		kernel_call(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&deferred, 0, sizeof(deferred));
	run_kept();
	if (signals_thread.asynchronous)
		libc()->pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
}

void signals_filter(bool is_there)
{
	atomic_store(&filtered, is_there);
}

void signals_forked(void)
{
	kept.count = 0;
}

void signals_run_deferred_under(const sigset_t *mask)
{
	struct timespec at_once = { 0 };

	/* As in the kernel: a handler runs under the call's mask and returns to the thread's. */
	if (mask && signals_thread.deferred)
		kernel_call5(SYS_ppoll, 0, 0, (long)&at_once, (long)mask, sizeof(uint64_t));
	signals_run_deferred();
}

/* What the program allows, to be cancelled at any instruction, must not happen here. */
void signals_hold_cancellation(void)
{
	libc()->pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
}

int signals_cancel_type(int type, int *old)
{
	const bool before = signals_thread.asynchronous;
	int result;

	/* First: a handler in between finds what it may put back. */
	if (type == PTHREAD_CANCEL_DEFERRED || type == PTHREAD_CANCEL_ASYNCHRONOUS)
		signals_thread.asynchronous = type == PTHREAD_CANCEL_ASYNCHRONOUS;
	result = libc()->pthread_setcanceltype(type, old);
	if (result == 0 && old)
		*old = before ? PTHREAD_CANCEL_ASYNCHRONOUS : PTHREAD_CANCEL_DEFERRED;
	return result;
}

/* ---- the program's actions ---- */

/* What the program has set, in the kernel's words as far as they are not ours. */
static void tell(const struct sigaction *kernel, const struct sigaction *asked,
		 struct sigaction *old)
{
	const int words = (int)(SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART | SA_RESETHAND);

	*old = *kernel;
	if (kernel->sa_sigaction == handler || kernel->sa_sigaction == fault_handler)
		old->sa_sigaction = asked->sa_sigaction;
	/* After SA_RESETHAND, too, which leaves the flags as they are. */
	old->sa_flags = (kernel->sa_flags & ~words) | (asked->sa_flags & words);
	old->sa_mask = asked->sa_mask;
	sigdelset(&old->sa_mask, SIGKILL);
	sigdelset(&old->sa_mask, SIGSTOP);
}

static int change(int number, const struct sigaction *action, struct sigaction *old)
{
	struct program_action *program = &actions[number];
	const unsigned current = program->current;
	const struct sigaction asked = *current_action(number);
	struct sigaction ours, before;

	if (action) {
		ours = with_front(number, action);
		/* The copy first: the handler may run as soon as the kernel knows it. */
		program->copies[(current + 1) & 1] = *action;
		atomic_store_explicit(&program->current, current + 1, memory_order_release);
	}
	if (libc()->sigaction(number, action ? &ours : NULL, &before) < 0) {
		atomic_store_explicit(&program->current, current, memory_order_release);
		return -errno;
	}
	if (current)
		tell(&before, &asked, old);
	else /* nothing was set through here: it is as inherited */
		*old = before;
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
	struct sigaction copy, previous;
	sigset_t all, before;
	bool blocks;
	int result;

	if (number < 1 || number >= _NSIG)
		return -EINVAL;
	if (action && !memory_copy_in(&copy, action, sizeof(copy)))
		return -EFAULT;
	/* Not behind a filter, which may kill for it: the lock puts handlers off as well. */
	blocks = !atomic_load(&filtered);
	sigfillset(&all);
	if (blocks)
		pthread_sigmask(SIG_SETMASK, &all, &before);
	guarded_lock(&action_lock);
	result = change(number, action ? &copy : NULL, &previous);
	guarded_unlock(&action_lock);
	if (blocks)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	/* As in the kernel, the change has been made. */
	if (result == 0 && old && !memory_copy_out(old, &previous, sizeof(*old)))
		return -EFAULT;
	return result;
}

/*
 * libc's abort() would take the handler out itself, by a call that is not seen here: the signal
 * would end the process without a farewell.
 */
void signals_before_abort(void)
{
	static const struct sigaction standard = { .sa_handler = SIG_DFL };
	const uint64_t raised = bit(SIGABRT);
	struct sigaction action = standard;

	if (!actions[SIGABRT].current || current_action(SIGABRT)->sa_handler == SIG_DFL ||
	    signals_action(SIGABRT, NULL, &action) < 0)
		return;
	kernel_call(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&raised, 0, sizeof(raised));
	if (has_handler(&action))
		kernel_call(SYS_tgkill, kernel_call(SYS_getpid, 0, 0, 0, 0),
			    kernel_call(SYS_gettid, 0, 0, 0, 0), SIGABRT, 0);
	signals_action(SIGABRT, &standard, NULL);
}

void signals_begin(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS };
	struct sigaction inherited, unused;

	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (libc()->sigaction(faults[i], NULL, &inherited) == 0)
			change(faults[i], &inherited, &unused); /* there is one thread */
}

/*
 * Sets all actions anew that are the default to the program, now that others stand for them. Under
 * action_lock.
 */
static void renew_defaults(bool stand_in)
{
	struct sigaction kernel, action, unused;

	standing_in = stand_in;
	for (int number = 1; number < _NSIG; number++) {
		if (!is_deadly(number) || libc()->sigaction(number, NULL, &kernel) < 0)
			continue;
		tell(&kernel, actions[number].current ? current_action(number) : &kernel, &action);
		if (action.sa_handler == SIG_DFL)
			change(number, &action, &unused);
	}
}

static void change_defaults(bool stand_in, void (*function)(void))
{
	sigset_t all, mask;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	guarded_lock(&action_lock);
	if (function)
		farewell = function;
	/* Where another thread starts while a filter is being installed, it is done later. */
	if (function && atomic_load(&aside))
		stand_in = false;
	atomic_store(&aside, !stand_in);
	if (farewell)
		renew_defaults(stand_in);
	guarded_unlock(&action_lock);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

void signals_stand_in(void (*function)(void))
{
	if (kernel_call(SYS_getpid, 0, 0, 0, 0) != 1)
		change_defaults(true, function);
}

void signals_stand_aside(void)
{
	change_defaults(false, NULL);
}

void signals_stand_in_again(void)
{
	change_defaults(true, NULL);
}
