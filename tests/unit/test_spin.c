/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload/waiting/spin.c: when polling is given up and taken up again. Each limit is a child of
 * its own, since variables are read once.
 */
#include "preload/waiting/spin.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/libc/monotonic.h"
#include "preload/config/config.h"

#include "tap.h"

/* Of preload/libc/symbols.c, which finds the one behind libmelin.so. */
int (*clock_of_libc)(clockid_t clock, struct timespec *now) = clock_gettime;

/* How many waits of that length it takes until the budget is as wanted; 100: it never is. */
static int waits_until(uint64_t length, uint64_t wanted)
{
	int waits = 0;

	while (spin_budget(0) != wanted && waits < 100) {
		spin_learn(length);
		waits++;
	}
	return waits;
}

static bool hundred(void)
{
	int given_up, taken_up;

	if (spin_budget(0) != 100000) /* who has just begun polls */
		return false;
	given_up = waits_until(100001, 0);
	for (int i = 0; i < 1000; i++)
		spin_learn(CLOCK_NEVER);
	taken_up = waits_until(100000, 100000);
	/* Time-outs count only if polling was in vain. */
	for (int i = 0; i < 1000; i++)
		spin_timed_out(1000);
	if (spin_budget(0) != 100000)
		return false;
	for (int i = 0; i < 100; i++)
		spin_timed_out(1000000);
	if (spin_budget(0) != 0)
		return false;
	return given_up == 6 && taken_up == 6;
}

static bool alternating(void)
{
	/* Every second wait is short: it pays. Every third: it does not. */
	for (int i = 0; i < 100; i++)
		spin_learn(i % 3 ? 1000000 : 1000);
	if (spin_budget(0) != 0)
		return false;
	for (int i = 0; i < 100; i++)
		spin_learn(i % 3 ? 1000 : 1000000);
	return spin_budget(0) == 20000;
}

static bool none(void)
{
	for (int i = 0; i < 100; i++)
		spin_learn(0);
	return spin_budget(0) == 0;
}

static bool always(void)
{
	for (int i = 0; i < 100; i++)
		spin_learn(1000000000);
	return spin_budget(0) == CLOCK_NEVER;
}

/* Messages by turns of so many connections. */
static void messages_of(unsigned connections, unsigned count)
{
	static uint32_t last[64];
	static unsigned next;

	while (count--)
		spin_message_of(&last[next++ % connections]);
}

/* How long a nap takes; and one of how many takes 4 ms instead, 0: none does. */
static uint64_t nap_takes = 100000;
static unsigned late_each;

/*
 * So many waits that find nothing. A nap takes 0.1 ms, or as said above, and brings so many
 * messages; without one so many others come by and by in 0.1 ms. How many naps were taken.
 */
static unsigned naps(uint64_t *now, unsigned waits, unsigned connections, unsigned messages,
		     unsigned awake)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < waits; i++) {
		const bool takes_one = spin_nap(*now) != CLOCK_NEVER;

		taken += takes_one;
		if (takes_one && late_each && taken % late_each == 0)
			*now += 4000000;
		else
			*now += takes_one ? nap_takes : 100000;
		if (takes_one)
			spin_nap_ends(*now);
		messages_of(connections, takes_one ? messages : awake);
	}
	return taken;
}

static bool naps_of_many(void)
{
	uint64_t now = 1000000;

	if (naps(&now, 100, 1, 10, 10) != 0 || naps(&now, 100, 8, 10, 10) != 0)
		return false;
	messages_of(50, 500);
	return naps(&now, 2200, 50, 10, 10) >= 1900;
}

static bool naps_that_pay(void)
{
	uint64_t now = 1000000;
	unsigned taken;

	messages_of(50, 500);
	/* 1 s in which one connection at a time asks: after 10, 20, ... ms. */
	taken = naps(&now, 10000, 50, 1, 1);
	return taken >= 4 && taken <= 9;
}

static bool naps_that_starve(void)
{
	uint64_t now = 1000000;
	unsigned taken;

	messages_of(50, 500);
	/* 4 s: phases of 20 ms after pauses of 10, 20, ... ms. */
	taken = naps(&now, 40000, 50, 4, 6);
	if (taken < 400 || taken > 2200)
		return false;
	now += 2000000000;
	return naps(&now, 2200, 50, 6, 6) >= 1900;
}

static bool naps_that_are_late(void)
{
	uint64_t now = 1000000;
	unsigned taken;

	messages_of(50, 500);
	/* 20 s with a slack of 50 ms: three, and one each after 1, 2, 4 and 8 s. */
	nap_takes = 50000000;
	taken = naps(&now, 200000, 50, 10, 10);
	if (taken != 7)
		return false;
	/* The slack is small again. */
	nap_takes = 100000;
	now += 20000000000;
	return naps(&now, 2200, 50, 10, 10) >= 1900;
}

/* One that is not late and brings little is judged as any other, however long the pause was. */
static bool naps_after_late_ones(void)
{
	uint64_t now = 1000000, began;

	messages_of(50, 500);
	/* Until the pause is the longest, and one that brings little. */
	nap_takes = 50000000;
	naps(&now, 1300000, 50, 10, 10);
	nap_takes = 100000;
	while (naps(&now, 1, 50, 1, 10) == 0)
		;
	began = now;
	while (naps(&now, 1, 50, 40, 10) == 0)
		;
	return now - began < 1100000000;
}

static bool naps_of_which_some_are_late(void)
{
	uint64_t now = 1000000;

	messages_of(50, 500);
	late_each = 20;
	return naps(&now, 2200, 50, 40, 10) >= 1500;
}

static void *one_message(void *last)
{
	spin_message_of(last);
	return NULL;
}

/* The requests of one connection are by turns another thread's and this one's, which has others. */
static bool naps_of_one_that_moves(void)
{
	uint32_t moving = 0;
	pthread_t thread;

	messages_of(1, 500);
	for (int i = 0; i < 100; i++) {
		if (pthread_create(&thread, NULL, one_message, &moving) != 0)
			return false;
		pthread_join(thread, NULL);
		spin_message_of(&moving);
	}
	return spin_nap(10000000) == CLOCK_NEVER;
}

static bool no_naps(void)
{
	uint64_t now = 1000000;

	messages_of(50, 500);
	return naps(&now, 1000, 50, 10, 10) == 0;
}

static void in_child(const char *limit, bool (*check)(void), const char *name)
{
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		clearenv();
		setenv("MELIN_DEV", "loop", 1);
		setenv("MELIN_FLOWS", "any:*:*", 1);
		setenv("MELIN_SPIN_US", limit, 1);
		config_load("");
		_exit(check() ? 0 : 1);
	}
	waitpid(child, &status, 0);
	tap_ok(status == 0, "MELIN_SPIN_US=%s: %s", limit, name);
}

int main(void)
{
	in_child("100", hundred, "given up after some long waits, taken up after some short ones");
	in_child("20", alternating, "where it wins every second time, and not where every third");
	in_child("0", none, "never");
	in_child("max", always, "always");
	in_child("100", naps_of_many, "a nap where requests of many are under way, and no other");
	in_child("100", naps_that_pay, "a nap that brings no messages is seldom tried again");
	in_child("100", naps_that_starve, "naps that peers wait for are seldom tried again");
	in_child("100", naps_that_are_late, "naps that take long are given up, and tried again");
	in_child("100", naps_of_which_some_are_late, "one late nap among others changes little");
	in_child("100", naps_after_late_ones, "after a pause for late naps they are judged anew");
	in_child("100", naps_of_one_that_moves, "no nap for one that moves between threads");
	in_child("max", no_naps, "who never sleeps takes no nap");
	return tap_done();
}
