/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The waiting loop and the wake-ups. A thread that waits polls the stack itself. When it has polled
 * long enough it sleeps, in one system call; of several threads that sleep one watches the device
 * for all of them.
 */
#include "preload/waiting/wait.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/libc/cancellation.h"
#include "preload/libc/monotonic.h"
#include "preload/descriptors/descriptors.h"
#include "preload/process/process_stack.h"
#include "preload/process/status.h"
#include "preload/libc/interruptible.h"
#include "preload/libc/signals.h"
#include "preload/libc/thread_end.h"
#include "preload/libc/timeout.h"
#include "preload/waiting/contention.h"
#include "preload/waiting/spin.h"
#include "common/spin_pause.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"

static LIST_HEAD(, waiter) sleepers; /* protected by wait_lock */

void (*wait_errand)(void);
_Atomic bool wait_errand_due;

/* The thread's eventfd, which is made when the thread first sleeps in ppoll(2); 0: none yet. */
static __thread int thread_eventfd;
static __thread bool thread_ends_it; /* else it is for one sleep, lest nobody closes it */

/* ---- waiters ---- */

static void close_eventfd(void)
{
	int descriptor = thread_eventfd;

	if (descriptor <= 0)
		return;
	thread_eventfd = 0;
	own_descriptor_close(descriptor);
}

static int waiter_eventfd(void)
{
	if (thread_eventfd > 0 && descriptor_private(thread_eventfd))
		return thread_eventfd;
	thread_eventfd = descriptor_own_eventfd(0);
	if (thread_eventfd < 0)
		return -1;
	thread_ends_it = thread_end_call(close_eventfd);
	return thread_eventfd;
}

/*
 * waiter.woken. From CHOSEN on the waiter is its waker's as well, until that has written to the
 * eventfd, or has stored DONE where there is none: its own thread, which may be awake for something
 * else, waits for that (await_waker()), and the waker does not touch it after that.
 */
enum {
	WOKEN_NOT,
	WOKEN_CHOSEN,
	WOKEN_DONE,
};

static void wake_now(struct wake *wake)
{
	static const uint64_t one = 1;
	struct waiter *waiter = (struct waiter *)((char *)wake - offsetof(struct waiter, wake));

	if (waiter->descriptor >= 0) {
		kernel_call(SYS_write, waiter->descriptor, (long)&one, sizeof(one), 0);
	} else {
		atomic_store(&waiter->woken, WOKEN_DONE);
		kernel_call(SYS_futex, (long)&waiter->woken, FUTEX_WAKE_PRIVATE, 1, 0);
	}
}

void waiter_wake(struct waiter *waiter)
{
	uint32_t not_yet = WOKEN_NOT;

	if (!atomic_compare_exchange_strong(&waiter->woken, &not_yet, WOKEN_CHOSEN))
		return;
	waiter->wake.run = wake_now;
	wake_add(&waiter->wake);
}

/* Nobody finds the waiter any more, but a waker may have chosen it before. */
static void await_waker(struct waiter *waiter)
{
	uint64_t value;

	if (atomic_load(&waiter->woken) == WOKEN_NOT)
		return;
	if (waiter->descriptor >= 0)
		while (kernel_call(SYS_read, waiter->descriptor, (long)&value, sizeof(value), 0) ==
		       -EINTR)
			;
	else
		while (atomic_load(&waiter->woken) == WOKEN_CHOSEN)
			kernel_call(SYS_futex, (long)&waiter->woken, FUTEX_WAIT_PRIVATE,
				    WOKEN_CHOSEN, 0);
}

/* ---- sleeping ---- */

static struct timespec *remaining(uint64_t deadline, struct timespec *timeout)
{
	*timeout = timeout_left(deadline);
	return deadline == CLOCK_NEVER ? NULL : timeout;
}

/* What a thread knows of the one sleep that it is in. */
struct sleep {
	struct wait *wait;
	struct waiter waiter;
	const struct instance *instance;
	int device;
	uint64_t deadline;
};

/*
 * The calling thread does not watch the device any more. If other threads sleep and none of them
 * watches it, one is woken: it watches the device when it sleeps again.
 */
static void hand_over_watch(void)
{
	struct waiter *waiter;

	wait_lock_acquire();
	LIST_FOREACH(waiter, &sleepers, sleeping)
		if (waiter->watching)
			break;
	if (!waiter && !LIST_EMPTY(&sleepers))
		waiter_wake(LIST_FIRST(&sleepers));
	wait_lock_release();
}

static void end_watch(const struct sleep *sleep)
{
	sleep->instance->operations->watch_end(sleep->instance->stack, sleep->device == -EALREADY);
}

/* The thread is awake, or is cancelled: what its sleep has set up is undone. */
static void end_sleep(struct sleep *sleep)
{
	wait_lock_acquire();
	sleep->wait->withdraw(sleep->wait);
	LIST_REMOVE(&sleep->waiter, sleeping);
	wait_lock_release();
	await_waker(&sleep->waiter);
	if (sleep->waiter.descriptor >= 0 && !thread_ends_it)
		close_eventfd();
	if (!sleep->waiter.watching)
		return;
	end_watch(sleep);
	if (sleep->device >= 0)
		hand_over_watch();
}

/*
 * pthread_cancel(3) ends the thread in its sleep, so that its call never returns: what the call
 * holds is given back here.
 */
static void cancelled(void *argument)
{
	struct sleep *sleep = argument;

	end_sleep(sleep);
	sleep->wait->cancelled(sleep->wait);
}

static long sleep_in_call(struct sleep *sleep, const struct system_call *call)
{
	const struct wait *wait = sleep->wait;

	return cancellation_call(call, wait->deaf, wait->cancelled ? cancelled : NULL, sleep);
}

/* For a thread that no descriptor of the kernel's can wake. */
static long sleep_on_futex(struct sleep *sleep)
{
	struct timespec timeout;
	const struct system_call call = { SYS_futex,
					  (long)&sleep->waiter.woken,
					  FUTEX_WAIT_PRIVATE,
					  0,
					  (long)remaining(sleep->deadline, &timeout),
					  0,
					  0 };

	return sleep_in_call(sleep, &call);
}

static long sleep_in_poll(struct sleep *sleep)
{
	const struct wait *wait = sleep->wait;
	nfds_t count = wait->kernel_count;
	struct pollfd own[WAIT_MORE_DESCRIPTORS], *set = wait->kernel ? wait->kernel : own;
	struct timespec timeout;
	struct system_call call = { .number = SYS_ppoll };

	set[count++] = (struct pollfd){ .fd = sleep->waiter.descriptor, .events = POLLIN };
	if (sleep->device >= 0)
		set[count++] = (struct pollfd){ .fd = sleep->device, .events = POLLIN };
	call.a = (long)set;
	call.b = (long)count;
	call.c = (long)remaining(sleep->deadline, &timeout);
	call.d = (long)wait->mask;
	call.e = sizeof(uint64_t); /* the size of a signal set in the kernel */
	return sleep_in_call(sleep, &call);
}

/*
 * Chooses what other threads wake this one by: the futex, or an eventfd if it sleeps on descriptors
 * of the kernel's. False: no descriptor is left for that, and the thread cannot sleep.
 */
static bool choose_wake_up(struct sleep *sleep)
{
	if (sleep->device < 0 && !sleep->wait->kernel_count && !sleep->wait->mask)
		return true;
	sleep->waiter.descriptor = waiter_eventfd();
	if (sleep->waiter.descriptor >= 0)
		return true;
	if (sleep->waiter.watching)
		end_watch(sleep);
	return false;
}

/* Whether the sleep that has just ended has found anything of the kernel's. */
static bool kernel_is_ready(const struct wait *wait)
{
	for (nfds_t i = 0; i < wait->kernel_count; i++)
		if (wait->kernel[i].revents)
			return true;
	return false;
}

/* Whether a signal has arrived that ends this wait. */
static bool interrupted(const struct wait *wait)
{
	return signals_waiting() && !wait->deaf;
}

/*
 * Sleeps once. slept: how often the thread has slept in this wait by now; nap_end: CLOCK_NEVER, or
 * when a nap ends, in which nobody watches the device for this thread. 0: look again; -EINTR: a
 * signal has arrived.
 */
static int sleep_once(struct wait *wait, const struct instance *instance, unsigned slept,
		      uint64_t nap_end)
{
	struct sleep sleep = { .wait = wait,
			       .waiter = { .descriptor = -1 },
			       .instance = instance,
			       .device = -EBUSY,
			       .deadline = nap_end < wait->deadline ? nap_end : wait->deadline };
	uint64_t timer = CLOCK_NEVER;
	long result = 0;

	if (instance && nap_end == CLOCK_NEVER)
		sleep.device = instance->operations->watch_begin(instance->stack, slept, &timer);
	if (sleep.device == -EAGAIN)
		return 0;
	sleep.waiter.watching = sleep.device >= 0 || sleep.device == -EALREADY;
	if (!choose_wake_up(&sleep))
		return 0; /* the thread goes on polling instead */
	if ((sleep.waiter.watching || sleep.device == -ENOTSUP) && timer < sleep.deadline)
		sleep.deadline = timer;
	wait_lock_acquire();
	LIST_INSERT_HEAD(&sleepers, &sleep.waiter, sleeping);
	wait->enroll(wait, &sleep.waiter);
	wait_lock_release();
	wait->kernel_known =
		true; /* the sleep ends at once if something of the kernel's is ready */
	if (interrupted(wait) || wait->ready(wait)) {
		wait->kernel_known = false;
	} else {
		result = sleep.waiter.descriptor >= 0 ? sleep_in_poll(&sleep)
						      : sleep_on_futex(&sleep);
		wait->kernel_known = result >= 0 && !kernel_is_ready(wait);
		if (nap_end == CLOCK_NEVER)
			spin_slept();
	}
	end_sleep(&sleep);
	return result == -EINTR ? -EINTR : 0;
}

/*
 * A wait that does not sleep has to notice signals, too, which are blocked but for its own mask:
 * the kernel delivers them in a ppoll(2) with that mask.
 */
static void let_signals_in(const struct wait *wait)
{
	struct timespec at_once = { 0 };

	if (wait->mask)
		kernel_call5(SYS_ppoll, 0, 0, (long)&at_once, (long)wait->mask, sizeof(uint64_t));
}

static void give_up_polling(void *argument)
{
	struct wait *wait = argument;

	wait->cancelled(wait);
}

/* How much of the time that a wait has taken other threads have not used. */
static uint64_t alone(uint64_t waited, uint64_t shared_before)
{
	const uint64_t shared = spin_shared() - shared_before;

	return shared < waited ? waited - shared : 0;
}

/*
 * Whether the thread goes on polling. A wait with a mask has to sleep at some time, since the
 * signals that its mask lets through arrive in its sleep only: it does so however much of the time
 * others have used.
 */
static bool polls_on(const struct wait *wait, uint64_t budget, uint64_t waited,
		     uint64_t shared_before)
{
	if (budget == CLOCK_NEVER)
		return !wait->mask;
	return (wait->mask ? waited : alone(waited, shared_before)) < budget;
}

/* ready() again, which looks at the kernel's descriptors, too. */
static bool is_ready_after_all(struct wait *wait)
{
	if (!wait->kernel_known && !wait->sleeps_next)
		return false;
	wait->kernel_known = wait->sleeps_next = false;
	return wait->ready(wait);
}

/* What a wait remembers from one look to the next. */
struct course {
	const struct instance *instance;
	uint64_t began;	 /* when it has found nothing first, or first since a nap; 0: not yet */
	uint64_t budget; /* how long it polls */
	uint64_t shared; /* spin_shared() when it began */
	unsigned slept;	 /* how often, naps not counted */
	bool budgeted, has_slept, has_napped;
};

/* Lets the stack take in what has come, before the wait looks whether it is ready. */
static void take_in(struct wait *wait, struct course *course)
{
	const struct instance *instance = course->instance = process_stack_running();

	/*
	 * -EBUSY: another thread is receiving. A wait that only looks must not miss what another
	 * call of the program has shown already, which that thread may not have reported to all
	 * yet.
	 */
	if (instance && instance->operations->poll(instance->stack) == -EBUSY &&
	    wait->deadline == 0)
		instance->operations->catch_up(instance->stack);
	if (__builtin_expect(atomic_load_explicit(&wait_errand_due, memory_order_relaxed), 0))
		wait_errand();
	wait->now = clock_monotonic();
	if (course->has_slept)
		spin_turn_begins(wait->now);
	course->has_slept = false;
	if (course->budgeted)
		return;
	course->budget = spin_budget(wait->now);
	/* One that may not wait at all ends without a sleep that would look. */
	wait->sleeps_next = wait->deadline > wait->now &&
			    (!instance || !polls_on(wait, course->budget, 0, spin_shared()));
	course->budgeted = true;
}

/* How long it took tells how long the next one polls. */
static void learn(const struct wait *wait, const struct course *course)
{
	spin_served_in_turn();
	if (!course->began)
		return;
	spin_learn(alone(wait->now - course->began, course->shared));
	status_wait_ended(course->slept > 0);
}

/* Polls on, naps or sleeps, until the next look. -EINTR: a signal has arrived in the sleep. */
static int pass_time(struct wait *wait, struct course *course)
{
	uint64_t nap_end;
	bool polls;
	int result;

	if (!course->began) {
		course->began = wait->now;
		spin_wait_begins();
		course->shared = spin_shared();
	}
	wait->kernel_known = wait->sleeps_next = false;
	polls = course->instance &&
		polls_on(wait, course->budget, wait->now - course->began, course->shared) &&
		!spin_is_crowded(wait->now);
	nap_end = polls && !course->has_napped && !wait->mask ? spin_nap(wait->now) : CLOCK_NEVER;
	course->has_napped = true;
	if (polls && nap_end == CLOCK_NEVER) {
		/* This thread never sleeps, and is cancelled here. */
		if (course->budget == CLOCK_NEVER && wait->cancelled)
			cancellation_test(give_up_polling, wait);
		spin_pause();
		return 0;
	}
	spin_turn_ends(wait->now);
	course->has_slept = true;
	/* A nap tells nothing of how long the thread would have waited. */
	if (nap_end != CLOCK_NEVER)
		course->began = 0;
	result = sleep_once(wait, course->instance, course->slept, nap_end);
	if (nap_end != CLOCK_NEVER)
		spin_nap_ends(clock_monotonic());
	else
		course->slept++;
	return result;
}

static int wait_unmasked(struct wait *wait)
{
	const int end = wait->restarts ? -ERESTART : -EINTR;
	struct course course = { 0 };

	if (wait->deadline != 0)
		spin_give_way();
	for (;;) {
		take_in(wait, &course);
		/* If a signal has arrived as well, being ready counts first, as in the kernel. */
		if (wait->ready(wait)) {
			learn(wait, &course);
			return 1;
		}
		if (wait->deadline == 0)
			let_signals_in(wait);
		if (interrupted(wait))
			return is_ready_after_all(wait) ? 1 : end;
		if (wait->deadline == 0)
			return 0;
		if (wait->now >= wait->deadline) {
			if (course.began)
				spin_timed_out(alone(wait->now - course.began, course.shared));
			return 0;
		}
		/*
		 * If no signal is held back, a handler has run that the program has set by a system
		 * call of its own: the wait ends as it does in the kernel.
		 */
		if (pass_time(wait, &course) == -EINTR && !signals_waiting())
			return wait->ready(wait) ? 1 : -EINTR;
	}
}

/*
 * Sets the thread's mask as it was before. Signals whose handlers are still to run stay blocked:
 * they run when the call holds nothing any more.
 */
static void restore_mask(const sigset_t *before)
{
	uint64_t mask;

	memcpy(&mask, before, sizeof(mask));
	mask |= signals_thread.deferred;
	kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof(mask));
}

/*
 * With a mask: while the thread polls, what the mask or the thread blocks is blocked. Signals that
 * the mask lets in arrive when the thread sleeps, since the kernel sets the mask for the sleep in
 * one step with it, as ppoll(2) promises; or when the thread gives up.
 */
int wait_for(struct wait *wait)
{
	sigset_t before;
	int result;

	if (!wait->mask)
		return wait_unmasked(wait);
	pthread_sigmask(SIG_BLOCK, wait->mask, &before);
	result = wait_unmasked(wait);
	restore_mask(&before);
	return result;
}

void wait_forked(void)
{
	LIST_INIT(&sleepers);
	thread_eventfd = 0;
	spin_forked();
	contention_forked();
}
