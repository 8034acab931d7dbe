/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals and the library's calls. The program's handlers run behind a small one of ours, because a
 * call on one of melin's descriptors is to be to them what a system call is: a handler runs when it
 * ends, or ends its wait and runs then. In between it might read or write a stack socket and wait
 * for a lock of its own thread's; and it need not return: siglongjmp(3), pthread_exit(3) or an
 * exception would leave locks, references and lists behind, with the thread's stack in them.
 *
 * So whoever holds a lock of melin's or a reference to an object (descriptors.h) holds signals. One
 * that arrives meanwhile goes back to the kernel, blocked, until all is released: well below a
 * millisecond later, unless the call waits. A wait ends at once (signals_waiting()), everything is
 * given back as at any other end, the handlers run, and then the call begins anew (-ERESTART, for
 * SA_RESTART) or returns EINTR.
 *
 * Handlers for SIGFPE and the like run at once; SIGSEGV and SIGBUS have one of ours in any case,
 * for program_memory.h, which hands on what is not its own. Nothing is touched in a process
 * without rules.
 */
#ifndef MELIN_SIGNALS_H
#define MELIN_SIGNALS_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct signals_thread {
	/* All are this thread's alone; volatile, since its own handlers change them. */
	volatile int depth;		/* locks and references held */
	volatile bool asynchronous;	/* the program may have it cancelled at any instruction */
	volatile unsigned interrupting; /* handlers without SA_RESTART that have run */
	volatile uint64_t deferred;	/* signals that wait for depth 0, as the kernel counts */
	volatile uint64_t let_in;	/* of these, those that only a call's own mask lets in */
	volatile bool traced;		/* in a traced call (calls/trace.h), and not in a handler */
};

/* libmelin.so is there from the start of the process: its thread variables need no call. */
extern __thread struct signals_thread signals_thread __attribute__((tls_model("initial-exec")));

/* What signals_hold() and signals_release() do in rare cases. */
void signals_hold_cancellation(void);
void signals_run_deferred(void);
void signals_run_deferred_under(const sigset_t *mask);

/* Around every stretch in which a lock or a reference of melin's is held; they nest. */
static inline void signals_hold(void)
{
	if (__builtin_expect(signals_thread.asynchronous, 0) && signals_thread.depth == 0)
		signals_hold_cancellation();
	signals_thread.depth++;
	__asm__ volatile("" ::: "memory"); /* the handler of this very thread must see it first */
}

static inline void signals_release(void)
{
	__asm__ volatile("" ::: "memory");
	if (--signals_thread.depth == 0 &&
	    __builtin_expect(signals_thread.deferred || signals_thread.asynchronous, 0))
		signals_run_deferred();
}

/*
 * The end of a call with a mask of its own (ppoll(2) and relatives, NULL: it had none), in place of
 * the last signals_release(): handlers run under that mask. The thread's own mask is set already.
 */
static inline void signals_release_under(const sigset_t *mask)
{
	__asm__ volatile("" ::: "memory");
	if (--signals_thread.depth == 0 &&
	    __builtin_expect(signals_thread.deferred || signals_thread.asynchronous, 0))
		signals_run_deferred_under(mask);
}

/* Whether a handler is to run: a call that waits must end. */
static inline bool signals_waiting(void)
{
	return signals_thread.deferred != 0;
}

/*
 * What a call returns whose handlers may have run since interrupting had this value: -ERESTART, if
 * it is to begin anew, has become -EINTR if one of them was set without SA_RESTART, or if they
 * cannot run yet, since the caller's caller holds signals.
 */
static inline ssize_t signals_outcome(ssize_t result, unsigned interrupting)
{
	if (__builtin_expect(result == -ERESTART, 0) &&
	    (signals_thread.interrupting != interrupting || signals_waiting()))
		return -EINTR;
	return result;
}

/* pthread_mutex_lock() and _unlock() of melin's own locks, with the above. */
static inline void guarded_lock(pthread_mutex_t *mutex)
{
	signals_hold();
	pthread_mutex_lock(mutex);
}

static inline void guarded_unlock(pthread_mutex_t *mutex)
{
	pthread_mutex_unlock(mutex);
	signals_release();
}

/* Around fork(): no other thread is in the middle of a change. In the child, too. */
void signals_before_fork(void);
void signals_after_fork(void);
/* In the child alone: signals that wait are the parent's. */
void signals_forked(void);

/*
 * System calls are filtered from now on, or will be in a moment: what is put off is not given back
 * to the kernel, which takes calls that a filter may kill for.
 */
void signals_filter(bool is_there);

/*
 * From now on the process has peers that are to hear of its end: handlers of melin's stand in for
 * the default actions that end a process, call farewell() and let the signal end it. The program
 * and its children see default actions. Not so in the first process of a pid namespace, which these
 * signals do not end. farewell() is called in a handler whose thread holds no lock of melin's; it
 * may have been interrupted anywhere else.
 */
void signals_stand_in(void (*farewell)(void));

/*
 * Takes that back: default actions are the kernel's again, and farewell() is not called any more.
 * So that a signal ends the process as ever where a filter for system calls does not know what
 * standing in takes. The second is for when there is no filter after all.
 */
void signals_stand_aside(void);
void signals_stand_in_again(void);

/* sigaction(2) for the program: 0 or -errno. */
int signals_action(int number, const struct sigaction *action, struct sigaction *old);

/*
 * abort(3) is next: a handler of the program's for SIGABRT runs. If it returns, the signal's action
 * is the default one afterwards, so that libc's abort() ends the process without running it again.
 */
void signals_before_abort(void);

/* pthread_setcanceltype(3) for the program: 0 or an errno value. */
int signals_cancel_type(int type, int *old);

/*
 * Sends the calling thread a signal with all that info says of it. The kernel allows a thread to
 * send itself what it says to have come from a process (SI_USER), but not what comes from the
 * kernel alone.
 */
void signals_to_this_thread(int number, siginfo_t *info);

/* The library begins, in a process with rules: program_memory.h's looks need their handlers. */
void signals_begin(void);

#endif
