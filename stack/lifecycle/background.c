/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The background thread and the watching of the device: background.h.
 *
 * The thread is in one of three states. While program threads poll by themselves it sleeps for
 * short times. While one of them sleeps on the device (for long enough that this is its habit), the
 * thread is parked: watch_end() wakes it. Otherwise it does both itself: watches the device and
 * polls.
 */
#include "stack/lifecycle/background.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "stack/tcp/index.h"
#include "stack/lifecycle/instance.h"
#include "stack/socket/send_pair.h"
#include "common/system_call.h"
#include "stack/events/timers.h"

#define MS 1000000ull

/* If a thread of the program has polled within this time, it is taken to go on polling. */
#define ACTIVE_NS (4 * MS)
/* If a thread of the program has slept for longer than this, the background thread is parked. */
#define PARK_NS (20 * MS)
/*
 * A device without a descriptor is looked at so often when connections exist, and less often the
 * longer nothing comes: 250 looks a second are below 1 % of a core.
 */
#define BLIND_MIN_NS (50000ull)
#define BLIND_MAX_NS (4 * MS)
/*
 * Nobody is told when a frame comes to such a device, so a thread that waits looks for it without
 * sleep for longer than the other end may nap: otherwise both ends find each other asleep for ever.
 */
#define BLIND_AWAKE_NS (6 * BLIND_MIN_NS)
/* How often it is looked at when no socket is open: only ARP and ping can come. */
#define EMPTY_NS (10 * MS)

/* Of the thread. lwIP and preload's callbacks need little of it, printf() the most. */
#define STACK_SIZE (256 * 1024)

/*
 * If another thread has polled within this time, it is taken to poll all the time, and to see
 * frames at once.
 */
#define POLLING_NS (100ull * 1000)
/*
 * And so often the thread that looks after it sees whether it still does: if it does not, because
 * it works on what it has got, this is how long frames for others lie.
 */
#define LOOK_AFTER_NS (250ull * 1000)

/*
 * The same for a thread that has slept so often without getting anything (a listener's, beside a
 * thread that serves): who serves a batch of requests polls between the batches, and to be woken
 * for each frame meanwhile takes the core from it.
 */
#define SLEPT_OFTEN	   16
#define PATIENT_POLLING_NS (2 * MS)
#define PATIENT_LOOK_NS	   (500ull * 1000)

/*
 * The stack starts because of a listener or a connection, which comes just after. Until it is there
 * peers are not answered, for they would be refused; but a start for nothing must not leave frames
 * for ever, and on a busy machine the program's thread may have to wait for a core.
 */
#define FIRST_USE_NS (500 * MS)

enum farewell {
	FAREWELL_NONE,
	FAREWELL_WANTED,
	FAREWELL_SAID,
};

/* Beyond MELIN_LINGER_MS: until the lock is free and the thread is scheduled. */
#define FAREWELL_MORE_MS 200

enum watcher {
	WATCHER_NONE,
	WATCHER_LOOKS_AFTER, /* a sleeping thread of the program, by time: another one polls */
	WATCHER_PROGRAM,
	WATCHER_BACKGROUND,
};

static bool nothing_open(const struct stack *stack)
{
	/* Read without the lock: a socket that appears now wakes this thread or polls itself. */
	return !stack->index.counts.active && !stack->index.counts.parked &&
	       !stack->index.counts.listeners && LIST_EMPTY(&stack->sockets);
}

static uint64_t until(const struct stack *stack, uint64_t deadline)
{
	uint64_t now = clock_read(&stack->clock);

	if (deadline == UINT64_MAX)
		return UINT64_MAX;
	return deadline > now ? deadline - now : 0;
}

/*
 * Polls, and returns when it must be done again even without input. -EBUSY: a thread that has the
 * lock does it.
 */
static int poll_once(struct stack *stack, uint64_t *deadline)
{
	int handled = 0;

	*deadline = clock_read(&stack->clock) + ACTIVE_NS;
	if (!instance_try_lock(stack))
		return -EBUSY;
	clock_update(&stack->clock);
	send_pair_release(stack);
	handled = (int)instance_receive(stack);
	stack->counters.polls++;
	if (!handled)
		instance_attend(stack);
	stack->wakeup.going_to_sleep = true;
	instance_leave_with_deadline(stack, deadline);
	return handled;
}

/* Watches the device as long as nobody else wants to and no program thread polls. */
static void watch_with_descriptor(struct stack *stack)
{
	struct background *background = &stack->background;
	uint64_t deadline;
	int handled;

	while (!atomic_load(&background->stop) &&
	       atomic_load(&background->watcher) == WATCHER_BACKGROUND) {
		handled = poll_once(stack, &deadline);
		if (handled &&
		    clock_read(&stack->clock) - atomic_load(&stack->wakeup.last_poll) < ACTIVE_NS)
			return;
		/* The lock's owner may have lost the processor: the frames lie there until then. */
		wakeup_sleep(&stack->wakeup, handled == -EBUSY ? -1 : stack->info.wait_descriptor,
			     until(stack, deadline));
	}
}

static void watch_blindly(struct stack *stack)
{
	struct background *background = &stack->background;
	uint64_t pause = BLIND_MIN_NS;
	uint64_t deadline;

	while (!atomic_load(&background->stop)) {
		uint64_t timer;

		if (poll_once(stack, &deadline))
			pause = BLIND_MIN_NS;
		else if (pause < BLIND_MAX_NS)
			pause *= 2;
		if (clock_read(&stack->clock) - atomic_load(&stack->wakeup.last_poll) < ACTIVE_NS)
			return;
		timer = until(stack, deadline);
		if (nothing_open(stack))
			pause = EMPTY_NS;
		wakeup_sleep(&stack->wakeup, -1, timer < pause ? timer : pause);
	}
}

/* Device "loop": every call delivers its own segments, so only timers are left. */
static void watch_timers(struct stack *stack)
{
	uint64_t deadline;

	poll_once(stack, &deadline);
	wakeup_sleep(&stack->wakeup, -1, until(stack, deadline));
}

static void watch(struct stack *stack)
{
	struct background *background = &stack->background;
	uint32_t expected = WATCHER_NONE;

	if (!stack->link) {
		watch_timers(stack);
		return;
	}
	if (stack->info.wait_descriptor < 0) {
		watch_blindly(stack);
		return;
	}
	/*
	 * A thread that looks after another polls, too: if nobody has of late, it has gone as well.
	 */
	if (!atomic_compare_exchange_strong(&background->watcher, &expected, WATCHER_BACKGROUND) &&
	    (expected != WATCHER_LOOKS_AFTER ||
	     !atomic_compare_exchange_strong(&background->watcher, &expected, WATCHER_BACKGROUND)))
		return;
	watch_with_descriptor(stack);
	/* Unless a thread of the program has taken the role over meanwhile. */
	expected = WATCHER_BACKGROUND;
	atomic_compare_exchange_strong(&background->watcher, &expected, WATCHER_NONE);
}

/*
 * A thread of the program sleeps on the device and does not know of timers that others have started
 * since: their time is kept here.
 */
static void keep_time(struct stack *stack)
{
	struct background *background = &stack->background;
	uint64_t deadline;

	while (!atomic_load(&background->stop) &&
	       atomic_load(&background->watcher) == WATCHER_PROGRAM) {
		poll_once(stack, &deadline);
		if (deadline == UINT64_MAX)
			return;
		wakeup_sleep(&stack->wakeup, -1, until(stack, deadline));
	}
}

/*
 * Waits until watch_end(). parked is set first and the watcher looked at again afterwards,
 * watch_end() does it the other way round: one of the two sees the other.
 */
static void park(struct stack *stack)
{
	struct background *background = &stack->background;

	atomic_store(&stack->wakeup.parked, 1);
	while (!atomic_load(&background->stop) &&
	       atomic_load(&background->watcher) == WATCHER_PROGRAM &&
	       atomic_load(&stack->wakeup.parked) && atomic_load(&stack->wakeup.asleep_until))
		kernel_call(SYS_futex, (long)&stack->wakeup.parked, FUTEX_WAIT_PRIVATE, 1, 0);
	atomic_store(&stack->wakeup.parked, 0);
}

static void *run(void *argument)
{
	struct stack *stack = argument;
	struct background *background = &stack->background;

	if (background->without_rights)
		kernel_give_up_capabilities();
	while (!atomic_load(&background->stop)) {
		uint64_t now = clock_read(&stack->clock);

		if (atomic_load(&background->watcher) == WATCHER_PROGRAM) {
			if (atomic_load(&stack->wakeup.asleep_until) == 0)
				keep_time(stack);
			else if (now - atomic_load(&background->watched_since) >= PARK_NS)
				park(stack);
			else
				wakeup_sleep(&stack->wakeup, -1, ACTIVE_NS);
		} else if (now - atomic_load(&stack->wakeup.last_poll) < ACTIVE_NS ||
			   (now - background->began < FIRST_USE_NS && nothing_open(stack))) {
			wakeup_sleep(&stack->wakeup, -1, ACTIVE_NS);
		} else {
			watch(stack);
		}
	}
	if (atomic_load(&background->farewell) == FAREWELL_WANTED) {
		background->last_act(stack, background->linger_ms, &background->last_counters);
		atomic_store(&background->farewell, FAREWELL_SAID);
		kernel_call(SYS_futex, (long)&background->farewell, FUTEX_WAKE_PRIVATE, 1, 0);
	}
	return NULL;
}

/*
 * A thread that waits for a device without a descriptor sleeps for a part of the time it has
 * waited.
 */
static int nap(const struct stack *stack, uint64_t idle, uint64_t *deadline_ns)
{
	uint64_t end = clock_read(&stack->clock) +
		       LWIP_MIN(LWIP_MAX(idle / 4, BLIND_MIN_NS), BLIND_MAX_NS);

	if (idle < BLIND_AWAKE_NS)
		return -EAGAIN;
	if (end < *deadline_ns)
		*deadline_ns = end;
	return -ENOTSUP;
}

static int look_after(struct background *background, uint64_t now, bool patient,
		      uint64_t *deadline_ns)
{
	uint64_t next = now + (patient ? PATIENT_LOOK_NS : LOOK_AFTER_NS);
	uint32_t expected = WATCHER_NONE;

	if (!atomic_compare_exchange_strong(&background->watcher, &expected, WATCHER_LOOKS_AFTER))
		return -EBUSY;
	if (next < *deadline_ns)
		*deadline_ns = next;
	return -EALREADY;
}

int background_watch_begin(struct stack *stack, unsigned slept, uint64_t *deadline_ns)
{
	struct background *background = &stack->background;
	const bool patient = slept >= SLEPT_OFTEN;
	uint32_t watcher = WATCHER_NONE;
	uint64_t idle, now;

	*deadline_ns = UINT64_MAX;
	if (instance_enter(stack))
		return -EBUSY;
	send_pair_release(stack);
	if (slept)
		instance_attend(stack);
	idle = clock_read(&stack->clock) - stack->last_frame;
	stack->wakeup.going_to_sleep = true;
	stack->counters.sleeps++;
	instance_leave_with_deadline(stack, deadline_ns);
	if (!stack->link)
		return -ENOTSUP;
	if (stack->info.wait_descriptor < 0)
		return nap(stack, idle, deadline_ns);
	now = clock_read(&stack->clock);
	if (wakeup_another_polled(&stack->wakeup, now, patient ? PATIENT_POLLING_NS : POLLING_NS))
		return look_after(background, now, patient, deadline_ns);
	while (!atomic_compare_exchange_strong(&background->watcher, &watcher, WATCHER_PROGRAM)) {
		if (watcher == WATCHER_PROGRAM)
			return -EBUSY;
	}
	atomic_store(&background->watched_since, now);
	if (watcher == WATCHER_BACKGROUND)
		wakeup_now(&stack->wakeup); /* two would wake up for the same input */
	return stack->info.wait_descriptor;
}

void background_watch_end(struct stack *stack, bool looked_after)
{
	struct background *background = &stack->background;
	uint32_t role = WATCHER_LOOKS_AFTER;

	if (looked_after) {
		/*
		 * Only if the role is still this one: another thread may have become the watcher.
		 */
		atomic_compare_exchange_strong(&background->watcher, &role, WATCHER_NONE);
		return;
	}
	wakeup_note_poll(&stack->wakeup, clock_read(&stack->clock));
	atomic_store(&background->watcher, WATCHER_NONE);
	wakeup_unpark(&stack->wakeup);
}

int background_start(struct stack *stack, bool without_rights, background_last_act *last_act)
{
	struct background *background = &stack->background;
	pthread_attr_t attributes;
	sigset_t all, before;
	int status;

	status = wakeup_open(&stack->wakeup);
	if (status)
		return status;
	background->without_rights = without_rights;
	background->last_act = last_act;
	background->running = true; /* before the thread looks */
	background->began = clock_read(&stack->clock);
	atomic_store(&stack->wakeup.last_poll, background->began);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	status = pthread_create(&background->thread, &attributes, run, stack);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (status) {
		background->running = false;
		wakeup_close(&stack->wakeup);
		return -status;
	}
	pthread_setname_np(background->thread, "melin");
	return 0;
}

void background_stop(struct stack *stack)
{
	struct background *background = &stack->background;

	if (!background->running)
		return;
	atomic_store(&background->stop, true);
	wakeup_now(&stack->wakeup);
	wakeup_unpark(&stack->wakeup);
	pthread_join(background->thread, NULL);
	background->running = false;
	wakeup_close(&stack->wakeup);
}

void background_abandon(struct stack *stack)
{
	wakeup_close(&stack->wakeup);
	stack->background.running = false;
}

void background_farewell(struct stack *stack, unsigned linger_ms, struct stack_counters *counters)
{
	struct background *background = &stack->background;
	uint64_t end = clock_read(&stack->clock) + (linger_ms + FAREWELL_MORE_MS) * MS, now;

	background->linger_ms = linger_ms;
	atomic_store(&background->farewell, FAREWELL_WANTED);
	atomic_store(&background->stop, true);
	wakeup_now(&stack->wakeup);
	while (atomic_load(&background->farewell) == FAREWELL_WANTED &&
	       (now = clock_read(&stack->clock)) < end) {
		struct timespec left = { .tv_sec = (time_t)((end - now) / 1000000000u),
					 .tv_nsec = (long)((end - now) % 1000000000u) };

		kernel_call(SYS_futex, (long)&background->farewell, FUTEX_WAIT_PRIVATE,
			    FAREWELL_WANTED, (long)&left);
	}
	if (atomic_load(&background->farewell) == FAREWELL_SAID)
		*counters = background->last_counters;
}
