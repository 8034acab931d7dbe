/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload/waiting/spin.c in virtual time: what others take of the processor and for how long a
 * thread leaves it to them, and how many messages there are to a sleep. How long waits decide
 * whether it polls: test_spin.c.
 */
#include "preload/waiting/spin.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "preload/config/config.h"

#include "tap.h"
#include "virtual_clock.h"

#define LIMIT (50 * US)

static struct config config = { .spin_us = 50 };

const struct config *config_get(void)
{
	return &config;
}

/* A yield of the policy's ends here, and takes as long as the test wants. */
static uint64_t yield_takes;
static unsigned yields;

/* What another thread of the program does meanwhile, once. */
static void *(*sibling)(void *);

static void run_sibling(void)
{
	void *(*run)(void *) = sibling;
	pthread_t thread;

	sibling = NULL;
	if (run && pthread_create(&thread, NULL, run, NULL) == 0)
		pthread_join(thread, NULL);
}

/* It interrupts nothing but the system call, so that it may do what handlers else may not. */
static void yield(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	yields++;
	now += yield_takes;
	run_sibling();
}

/* Instead of sched_yield(2) the kernel sends SIGSYS, whose handler stands in for it. */
static bool stand_in_for_yield(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_yield, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	struct sigaction action = { .sa_sigaction = yield, .sa_flags = SA_SIGINFO | SA_NODEFER };

	return sigaction(SIGSYS, &action, NULL) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* The thread looks once, so long after its last look. */
static bool look_after(uint64_t duration)
{
	now += duration;
	return spin_is_crowded(now);
}

/*
 * The thread waits again and again, as long as it may, and looks each microsecond; nobody else
 * wants the processor. True: it has been told that it is crowded after all.
 */
static bool poll_alone(uint64_t duration)
{
	uint64_t begin = now, polled = 0;

	yield_takes = 0;
	while (polled < duration) {
		if (polled % LIMIT == 0)
			spin_budget(now);
		if (look_after(US))
			return true;
		polled += US;
	}
	return now != begin + duration;
}

/* A wait in which another thread takes the processor for a time slice. Returns what was told. */
static bool lose_processor(void)
{
	return spin_budget(now) == LIMIT && look_after(4 * MS);
}

/* Lets the time pass in which the thread does not poll. Returns how long it was, exactly. */
static uint64_t wait_out_pause(void)
{
	uint64_t low = 0, high = 1000 * MS, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (spin_budget(now + middle) == 0)
			low = middle + 1;
		else
			high = middle;
	}
	now += low;
	return low;
}

/* ---- what a crowd is ---- */

static void alone(void)
{
	unsigned before = yields;

	tap_ok(!poll_alone(30 * MS), "nobody else wants the processor: no crowd");
	tap_ok(yields - before == 6000, "it is offered each 5 us: %u times in 30 ms",
	       yields - before);
	tap_ok(spin_budget(now) == LIMIT, "and the thread goes on polling");
}

/* One wait: a look after so long, at which the yield takes so long. */
static bool crowded_after(uint64_t polled, uint64_t others)
{
	spin_budget(now);
	yield_takes = others;
	return look_after(polled);
}

static void quarter(void)
{
	tap_ok(crowded_after(9 * US, 3 * US), "others have taken a quarter of the time: a crowd");
}

static void less_than_quarter(void)
{
	tap_ok(!crowded_after(9 * US + 1, 3 * US), "less than a quarter: none");
}

static void quick_yield(void)
{
	tap_ok(!crowded_after(5 * US, 2 * US - 1), "a yield below 2 us has been to nobody");
}

static void slow_yield(void)
{
	tap_ok(crowded_after(5 * US, 2 * US), "one of 2 us has been to another thread");
}

static void early(void)
{
	unsigned before = yields;

	tap_ok(!crowded_after(5 * US - 1, 9 * US) && yields == before,
	       "a wait of less than 5 us yields to nobody");
}

static void long_gap(void)
{
	tap_ok(crowded_after(100 * US, 0), "100 us between two looks: others have had them");
}

static void short_gap(void)
{
	tap_ok(!crowded_after(100 * US - 1, 0), "a shorter time between two looks is the thread's");
}

/* What others take is added up over waits, beside what the thread has polled. */
static void added_up(void)
{
	tap_ok(!crowded_after(20 * US, 6 * US) && crowded_after(5 * US, 3 * US),
	       "6 us beside 20, then 3 beside 5: a crowd");
}

/* Kernel threads: 3 us in each millisecond, for a second. */
static void kernel_threads(void)
{
	bool crowded = false;

	for (int i = 0; i < 1000 && !crowded; i++)
		crowded = poll_alone(MS) || crowded_after(5 * US, 3 * US);
	tap_ok(!crowded && spin_budget(now) == LIMIT, "the kernel's own threads are no crowd");
}

/* ---- how long the thread leaves the processor to the others ---- */

static void doubles(void)
{
	uint64_t wanted = 500 * US, pause = 0;
	bool good = true;

	for (int i = 0; i < 12 && good; i++) {
		good = lose_processor();
		pause = wait_out_pause();
		good = good && pause == wanted;
		wanted = wanted * 2 > 500 * MS ? 500 * MS : wanted * 2;
	}
	tap_ok(good && pause == 500 * MS, "the pause begins with 500 us, doubles, ends at 500 ms");
}

/* After so many crowds and then so many times 20 ms undisturbed: the pause at the next crowd. */
static uint64_t pause_after(int crowds, int undisturbed)
{
	for (int i = 0; i < crowds; i++) {
		if (!lose_processor())
			return 0;
		wait_out_pause();
	}
	if (poll_alone((uint64_t)undisturbed * 20 * MS) || !lose_processor())
		return 0;
	return wait_out_pause();
}

static void not_halved(void)
{
	tap_ok(pause_after(3, 0) == 4 * MS, "four crowds on end: 4 ms");
}

static void halved(void)
{
	tap_ok(pause_after(3, 1) == 2 * MS, "20 ms undisturbed before the fourth: half of it");
}

static void halved_twice(void)
{
	tap_ok(pause_after(3, 2) == MS, "40 ms: a quarter");
}

static void forgotten(void)
{
	tap_ok(pause_after(3, 4) == 500 * US && pause_after(0, 100) == 500 * US,
	       "long undisturbed: as at first");
}

static void nearly_undisturbed(void)
{
	bool first = lose_processor(), second, third;

	wait_out_pause();
	second = poll_alone(20 * MS - US) || lose_processor();
	tap_ok(first && !second, "a time slice beside nearly 20 ms of polling is below a quarter");
	third = !poll_alone(US) && lose_processor();
	tap_ok(third && wait_out_pause() == 500 * US, "the 20 ms are full: both are forgotten");
}

static void always(void)
{
	unsigned before = yields;
	bool crowded = false;

	config.spin_us = CONFIG_SPIN_MAX;
	spin_budget(now);
	for (int i = 0; i < 100 && !crowded; i++)
		crowded = look_after(4 * MS);
	tap_ok(!crowded && yields == before && spin_budget(now) == CLOCK_NEVER,
	       "MELIN_SPIN_US=max: the processor is left to nobody");
	config.spin_us = 50;
}

/* ---- other threads of the program, on the same processor ---- */

static void take_turn(uint64_t duration, bool serves)
{
	spin_turn_begins(now);
	now += duration;
	if (serves)
		spin_served_in_turn();
	spin_turn_ends(now);
}

static void *serve(void *unused)
{
	take_turn(60 * US, true);
	return unused;
}

static void *serve_shortly(void *unused)
{
	take_turn(20 * US, true);
	return unused;
}

static void *poll_in_vain(void *unused)
{
	take_turn(60 * US, false);
	return unused;
}

static void *serve_at_most(void *unused)
{
	take_turn(250 * US, true);
	return unused;
}

static void *compute(void *unused)
{
	take_turn(250 * US + 1, true);
	return unused;
}

/* The thread looks when it has polled so long; others have the processor then. */
static bool crowded_by(void *(*run)(void *), uint64_t polled, uint64_t strangers)
{
	spin_budget(now);
	spin_wait_begins();
	sibling = run;
	yield_takes = strangers;
	return look_after(polled);
}

static void sibling_serves(void)
{
	bool crowded = false;
	uint64_t before = spin_shared();

	for (int i = 0; i < 100 && !crowded; i++)
		crowded = crowded_by(serve, 5 * US, 0);
	tap_ok(!crowded && spin_shared() - before == 100 * 60 * US,
	       "threads of the program that serve are no crowd, and their time is shared");
}

static void sibling_polls(void)
{
	uint64_t before = spin_shared();

	tap_ok(!crowded_by(poll_in_vain, 5 * US, 0) && spin_shared() == before,
	       "nor are those that poll, whose time counts as this thread's own");
}

static void sibling_computes(void)
{
	bool crowded = crowded_by(serve_at_most, 5 * US, 0);

	tap_ok(!crowded && crowded_by(compute, 5 * US, 0),
	       "a turn of 250 us is one, a longer one is a crowd's");
}

static void stranger_beside(void)
{
	bool less = crowded_by(serve_shortly, 10 * US, 10 * US - 1);

	tap_ok(!less && crowded_by(serve_shortly, 10 * US, 10 * US + 3),
	       "strangers are a crowd when they take a quarter of all, and no sooner");
}

/* While others have work each look is followed by a yield; a look costs much less. */
static void gives_way_at_once(void)
{
	unsigned before = yields;
	bool once;

	crowded_by(serve, 5 * US, 0);
	spin_budget(now);
	look_after(1);
	once = yields - before == 2;
	look_after(1);
	tap_ok(once && yields - before == 2,
	       "who has shared the processor gives it away at its next look, unless in vain");
}

static void sibling_slept(void)
{
	uint64_t before;
	pthread_t thread;

	spin_wait_begins();
	before = spin_shared();
	spin_turn_ends(now);
	if (pthread_create(&thread, NULL, serve, NULL) || pthread_join(thread, NULL))
		return;
	spin_turn_begins(now);
	tap_ok(spin_shared() - before == 60 * US, "what others serve in a sleep is shared, too");
}

static void own_turn(void)
{
	uint64_t before = spin_shared();

	for (int i = 0; i < 3; i++)
		take_turn(60 * US, true);
	spin_turn_begins(now);
	tap_ok(spin_shared() == before, "what it has served itself before a sleep is not shared");
}

/* It is kept from the processor for a while between two looks. */
static void *lose_the_middle(void *unused)
{
	spin_budget(now);
	spin_turn_begins(now);
	spin_served_in_turn();
	look_after(10 * US);
	look_after(200 * US);
	now += 20 * US;
	spin_served_in_turn();
	spin_turn_ends(now);
	return unused;
}

static void preempted(void)
{
	uint64_t before = spin_shared();

	crowded_by(lose_the_middle, 5 * US, 0);
	tap_ok(spin_shared() - before == 30 * US, "what others have had of a turn is none of it");
}

/* Waits that end at their time-outs, one after the other. */
static void *time_out(void *unused)
{
	spin_turn_begins(now);
	now += 60 * US;
	spin_give_way();
	return unused;
}

static void timed_out(void)
{
	uint64_t before = spin_shared();

	crowded_by(time_out, 5 * US, 0);
	tap_ok(spin_shared() == before, "who gives way has served only if it has");
}

static bool gave_way_early, gave_way_late;

/* A signal has ended its sleep, and the call. */
static void *sleep_and_return(void *unused)
{
	unsigned before = yields;

	spin_turn_begins(now);
	spin_turn_ends(now);
	now += 200 * US;
	spin_turn_ends(now);
	spin_give_way();
	gave_way_early = yields != before;
	now += 50 * US;
	spin_give_way();
	gave_way_late = yields == before + 1;
	return unused;
}

static void between_turns(void)
{
	bool crowded = crowded_by(sleep_and_return, 5 * US, 0);

	tap_ok(crowded, "the time between two turns is none");
	tap_ok(!gave_way_early && gave_way_late, "who has none begins one at its next wait");
}

/* It leaves the processor to a crowd, for 500 us. */
static void *leave_to_crowd(void *unused)
{
	unsigned before = yields;

	lose_processor();
	now += 400 * US;
	spin_give_way();
	gave_way_early = yields != before;
	now += 100 * US;
	spin_give_way();
	gave_way_late = yields == before + 1;
	return unused;
}

static void left_to_crowd(void)
{
	crowded_by(leave_to_crowd, 5 * US, 0);
	tap_ok(!gave_way_early && gave_way_late, "who does not poll at the moment does not yield");
}

/* It always finds something; another thread waits for its turn all the time. */
static void *serve_for_long(void *unused)
{
	unsigned before = yields;

	spin_turn_begins(now);
	now += 50 * US - 1;
	spin_give_way();
	gave_way_early = yields != before;
	now++;
	spin_give_way();
	gave_way_late = yields == before + 1;
	return unused;
}

static void long_turn(void)
{
	unsigned before;

	crowded_by(serve_for_long, 5 * US, 0);
	tap_ok(!gave_way_early && gave_way_late, "a turn ends after 50 us if others wait");
	before = yields;
	spin_turn_begins(now);
	now += MS;
	spin_give_way();
	tap_ok(yields == before, "and does not if nobody does");
}

/* The thread that waits for its turn is the parent's. */
static void *serve_in_child(void *unused)
{
	unsigned before = yields;

	spin_forked();
	spin_turn_begins(now);
	now += 50 * US;
	spin_give_way();
	gave_way_early = yields != before;
	return unused;
}

static void forked(void)
{
	unsigned before;

	gave_way_early = true;
	crowded_by(serve_in_child, 5 * US, 0);
	tap_ok(!gave_way_early, "in the child of a fork nobody waits for a turn");
	/* This thread has waited for one in a handler that has forked, so to say. */
	before = yields;
	now += MS;
	spin_give_way();
	tap_ok(yields == before, "not even the thread that has forked");
	spin_forked();
}

/* ---- messages to a sleep ---- */

/* So many messages, then a sleep, so many times. Returns after how many it was a sleep for each. */
static int sleeps_until_few(unsigned messages, int most)
{
	bool few = false;

	for (int sleeps = 1; sleeps <= most; sleeps++) {
		for (unsigned i = 0; i < messages; i++)
			few = spin_served();
		if (few)
			return sleeps;
		spin_slept();
	}
	return -1;
}

static void one_to_a_sleep(void)
{
	int sleeps = sleeps_until_few(1, 1000);

	tap_ok(sleeps == 21, "a sleep for each message is noticed after %d", sleeps);
}

static void two_to_a_sleep(void)
{
	tap_ok(sleeps_until_few(2, 1000) == -1, "two messages to a sleep are not one");
}

static void one_then_many(void)
{
	bool few = sleeps_until_few(1, 1000) > 0;

	for (int i = 0; i < 8; i++)
		few = few && spin_served();
	tap_ok(few, "what follows without a sleep changes nothing");
	spin_slept();
	tap_ok(!spin_served(), "until the next sleep, which there were nine messages to");
}

/* Frames that are none of the message wake a thread, too. */
static void sleeps_in_vain(void)
{
	bool few = false;

	for (int message = 0; message < 1000 && !few; message++) {
		few = spin_served() || spin_served();
		for (int i = 0; i < 10; i++)
			spin_slept();
	}
	tap_ok(!few, "sleeps that end without a message do not count");
}

static void very_many(void)
{
	for (unsigned i = 0; i < 100000; i++)
		spin_served();
	spin_slept();
	tap_ok(sleeps_until_few(1, 100) == 68, "very many without a sleep count as 65,535");
}

/* Each case is a thread of its own, since what is learnt is the thread's. */
static void *in_thread(void *test)
{
	yield_takes = 0;
	((void (*)(void))test)();
	return NULL;
}

/* Turns are counted for each processor. */
static bool stay_on_processor(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	return sched_setaffinity(0, sizeof(here), &here) == 0;
}

int main(void)
{
	static void (*const cases[])(void) = {
		alone,
		quarter,
		less_than_quarter,
		quick_yield,
		slow_yield,
		early,
		long_gap,
		short_gap,
		added_up,
		kernel_threads,
		doubles,
		not_halved,
		halved,
		halved_twice,
		forgotten,
		nearly_undisturbed,
		always,
		one_to_a_sleep,
		two_to_a_sleep,
		one_then_many,
		sleeps_in_vain,
		very_many,
		sibling_serves,
		sibling_polls,
		sibling_computes,
		stranger_beside,
		gives_way_at_once,
		sibling_slept,
		long_turn,
		preempted,
		timed_out,
		between_turns,
		left_to_crowd,
		forked,
		own_turn,
	};

	if (!stay_on_processor() || !stand_in_for_yield())
		return 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, in_thread, (void *)cases[i]) ||
		    pthread_join(thread, NULL))
			return 1;
	}
	return tap_done();
}
