/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload/sockets/borrow_policy.c in virtual time: when a connection is watched, borrowed and given
 * back. Not for how that is done.
 */
#include "preload/sockets/borrow_policy.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/config/config.h"
#include "preload/waiting/contention.h"
#include "preload/waiting/spin.h"

#include "tap.h"
#include "virtual_clock.h"

static struct config config = { .spin_us = 50, .borrow = BORROW_AUTO, .borrow_seed = 1 };

const struct config *config_get(void)
{
	return &config;
}

/* Stands in for contention.c, which has a test of its own. */
static enum contention contention;
static unsigned messages_counted;

enum contention contention_look(uint64_t time)
{
	(void)time;
	return contention;
}

void contention_message(void)
{
	messages_counted++;
}

/* ---- what the kernel carries ---- */

/* So many more turns of small messages, each so long after the one before. */
static void turn(struct borrow_policy *policy, unsigned turns, uint64_t apart)
{
	for (unsigned i = 0; i < turns; i++) {
		now += apart;
		borrow_policy_carried(
			policy, policy->direction == BORROW_RECEIVE ? BORROW_SEND : BORROW_RECEIVE,
			64);
	}
}

/* How many small turns it takes from now on until that is to be done; 0: it never is. */
static unsigned turns_until(struct borrow_policy *policy, bool watched, enum borrow_step step)
{
	for (unsigned turns = 0; turns < 10000; turns++) {
		if (borrow_policy_before(policy, watched) == step)
			return turns;
		turn(policy, 1, US);
	}
	return 0;
}

static void turns(void)
{
	struct borrow_policy watched = { 0 }, borrowed = { 0 }, one_way = { 0 }, request = { 0 };

	tap_ok(turns_until(&watched, false, BORROW_WATCH) == 6, "watched after six turns");
	tap_ok(turns_until(&borrowed, true, BORROW_NOW) == 8, "borrowed after eight");
	for (int i = 0; i < 100; i++)
		borrow_policy_carried(&one_way, BORROW_SEND, 1);
	tap_ok(borrow_policy_before(&one_way, false) == BORROW_STAY,
	       "a hundred messages one way are no turns");
	turn(&request, 4, US);
	tap_ok(borrow_policy_before(&request, false) == BORROW_STAY,
	       "a greeting, a request and their answers: nothing is done");
}

/* In a crowd; the trial takes place. */
static int looks_until_trial(struct borrow_policy *policy, bool starts)
{
	int looks = 0;

	while (!borrow_policy_has_room(policy, starts, now) && looks < 1000)
		looks++;
	borrow_policy_borrowed(policy);
	return looks;
}

/* Others want the processor: the connection stays, and is looked at after four times the turns. */
static void no_room(void)
{
	struct borrow_policy policy = { 0 };
	unsigned before;

	turn(&policy, 6, US);
	contention = CONTENTION_UNKNOWN;
	tap_ok(!borrow_policy_has_room(&policy, false, now) &&
		       borrow_policy_before(&policy, false) == BORROW_WATCH,
	       "not known: the next turn asks again");
	contention = CONTENTION_LOW;
	tap_ok(borrow_policy_has_room(&policy, false, now),
	       "nobody wants the processor: there is room");
	contention = CONTENTION_HIGH;
	tap_ok(!borrow_policy_has_room(&policy, false, now) &&
		       turns_until(&policy, false, BORROW_WATCH) == 24,
	       "others want it: after four times the turns it is asked again");
	for (int looks = 2; looks <= 15; looks++)
		borrow_policy_has_room(&policy, false, now);
	tap_ok(!borrow_policy_has_room(&policy, false, now) &&
		       borrow_policy_has_room(&policy, false, now),
	       "a connection is tried after sixteen looks");
	tap_ok(!borrow_policy_has_room(&policy, true, now),
	       "but not if a stack has to start first");
	policy = (struct borrow_policy){ 0 };
	tap_ok(looks_until_trial(&policy, true) == 64, "that takes four times as many looks");
	policy = (struct borrow_policy){ 0 };
	tap_ok(looks_until_trial(&policy, false) == 16 && looks_until_trial(&policy, false) == 32 &&
		       looks_until_trial(&policy, false) == 64 &&
		       looks_until_trial(&policy, false) == 128 &&
		       looks_until_trial(&policy, false) == 256 &&
		       looks_until_trial(&policy, false) == 256,
	       "each further trial takes twice as many as the one before, up to 256");
	contention = CONTENTION_LOW;
	borrow_policy_has_room(&policy, false, now);
	contention = CONTENTION_HIGH;
	tap_ok(looks_until_trial(&policy, false) == 16,
	       "once nobody has wanted the processor it begins anew");
	config.borrow = BORROW_ALWAYS;
	tap_ok(borrow_policy_has_room(&policy, false, now),
	       "with MELIN_BORROW=always there is room");
	config.borrow = BORROW_AUTO;
	before = messages_counted;
	turn(&policy, 10, US);
	tap_ok(messages_counted == before + 5, "what comes in counts as messages");
}

static void turns_apart(void)
{
	struct borrow_policy soon = { 0 }, late = { 0 };

	turn(&soon, 8, 100 * MS - 1);
	turn(&late, 7, US);
	turn(&late, 1, 100 * MS);
	tap_ok(borrow_policy_before(&soon, true) == BORROW_NOW, "turns just below 100 ms apart");
	tap_ok(turns_until(&late, true, BORROW_NOW) == 7, "one 100 ms later is a first turn");
}

static void large_messages(void)
{
	struct borrow_policy policy = { 0 };

	turn(&policy, 8, US); /* ends with one sent */
	borrow_policy_carried(&policy, BORROW_RECEIVE, BORROW_MESSAGE_MAX);
	tap_ok(borrow_policy_before(&policy, true) == BORROW_NOW, "a message of 4 KiB is none");
	borrow_policy_carried(&policy, BORROW_RECEIVE, 1);
	tap_ok(turns_until(&policy, true, BORROW_NOW) == 8,
	       "a longer one, in parts as well: all turns anew");
}

static void attempts_refused(void)
{
	struct borrow_policy policy = { 0 };

	turn(&policy, 8, US);
	borrow_policy_refused(&policy);
	now += 200 * US - 1;
	tap_ok(borrow_policy_before(&policy, true) == BORROW_STAY &&
		       borrow_policy_before(&policy, false) == BORROW_WATCH,
	       "refused: not for 200 us, but watched");
	now += 1;
	tap_ok(borrow_policy_before(&policy, true) == BORROW_NOW, "then again");
	borrow_policy_begins_anew(&policy);
	tap_ok(turns_until(&policy, false, BORROW_WATCH) == 6 &&
		       turns_until(&policy, true, BORROW_NOW) == 2,
	       "no broker: after as many turns as at first");
}

/* ---- what an attempt costs ---- */

/* An attempt that takes so long. Returns after what time the next one may begin. */
static uint64_t pause_after(uint64_t duration)
{
	uint64_t began, pause = 0, unused;

	now += 10 * MS;
	if (!borrow_policy_begin(&began))
		return 0;
	now += duration;
	borrow_policy_end(began);
	for (; !borrow_policy_begin(&unused); now += 100)
		pause += 100;
	return pause;
}

static void attempts_paced(void)
{
	uint64_t began = 0;

	tap_ok(pause_after(10 * US) == 20 * US && pause_after(150 * US) == 300 * US,
	       "the next attempt of any connection is after twice the time of the last");
	tap_ok(pause_after(1000 * MS) == 300 * US, "but after no more than 300 us");
	config.borrow = BORROW_ALWAYS;
	tap_ok(pause_after(100 * US) == 0 && borrow_policy_begin(&began) && began == now,
	       "MELIN_BORROW=always: at once");
	config.borrow = BORROW_AUTO;
}

/* ---- loans that did not pay ---- */

/* A loan of so many transfers ends. Returns how many turns are needed for the next one. */
static unsigned turns_after_loan(struct borrow_policy *policy, unsigned transfers, bool did_not_pay)
{
	borrow_policy_borrowed(policy);
	for (unsigned i = 0; i < transfers; i++)
		borrow_policy_moved(policy, i % 2 ? BORROW_SEND : BORROW_RECEIVE, 64);
	borrow_policy_returned(policy, did_not_pay);
	return turns_until(policy, true, BORROW_NOW);
}

static void reluctance(void)
{
	struct borrow_policy paid = { 0 }, lost = { 0 }, watched = { 0 };
	bool good = true;

	turn(&paid, 8, US);
	tap_ok(turns_after_loan(&paid, 8, false) == 8, "a loan of eight transfers has paid");
	tap_ok(turns_after_loan(&paid, 7, false) == 32,
	       "one of seven has not: four times the turns");
	turn(&lost, 8, US);
	for (unsigned i = 0, wanted = 32; i < 4; i++, wanted *= 4)
		good = good && turns_after_loan(&lost, 100, true) == wanted;
	tap_ok(good, "each loan that did not pay: four times the turns of the one before");
	tap_ok(turns_after_loan(&lost, 100, true) == 2048, "up to 2,048");
	borrow_policy_returned(&watched, true);
	tap_ok(turns_until(&watched, false, BORROW_WATCH) == 24, "watched as much later");
}

static void refused_before_loan(void)
{
	struct borrow_policy policy = { 0 };

	borrow_policy_refused(&policy);
	borrow_policy_borrowed(&policy);
	policy.moves += 100;
	borrow_policy_returned(&policy, false);
	turn(&policy, 8, 1);
	tap_ok(borrow_policy_before(&policy, true) == BORROW_NOW, "a loan ends a refusal's time");
}

/* ---- what the stack carries ---- */

/* So many bytes in both directions. Returns whether the last ones end the loan. */
static bool exchange(struct borrow_policy *policy, size_t request, size_t answer)
{
	return borrow_policy_moved(policy, BORROW_RECEIVE, request) ||
	       borrow_policy_moved(policy, BORROW_SEND, answer);
}

static void bulk(void)
{
	struct borrow_policy policy = { 0 };

	borrow_policy_borrowed(&policy);
	tap_ok(!borrow_policy_moved(&policy, BORROW_SEND, BORROW_BULK_BYTES), "1 MiB: no bulk");
	tap_ok(borrow_policy_moved(&policy, BORROW_SEND, 1), "a byte more: bulk");
	tap_ok(!borrow_policy_moved(&policy, BORROW_SEND, BORROW_BULK_BYTES) &&
		       !borrow_policy_moved(&policy, BORROW_RECEIVE, BORROW_BULK_BYTES),
	       "counted anew then, and for each direction");
	config.borrow = BORROW_ALWAYS;
	tap_ok(!borrow_policy_moved(&policy, BORROW_SEND, 2 * BORROW_BULK_BYTES),
	       "MELIN_BORROW=always: no matter");
	config.borrow = BORROW_AUTO;
}

static void large_answers(void)
{
	struct borrow_policy each = { 0 }, third = { 0 };
	unsigned answers = 0;
	bool ends = false;

	borrow_policy_borrowed(&each);
	/* An answer is known to be large when the next request comes. */
	for (; answers < 100 && !ends; answers++)
		ends = exchange(&each, 64, BORROW_MESSAGE_MAX + 1);
	tap_ok(ends && answers == 9, "large answers to small requests: given back after eight");
	for (answers = 0, ends = false; answers < 100 && !ends; answers++)
		ends = exchange(&each, 64, BORROW_MESSAGE_MAX + 1);
	tap_ok(ends && answers == 9, "counted anew then");
	for (unsigned i = 0; i < 8; i++)
		exchange(&each, 64, BORROW_MESSAGE_MAX + 1);
	borrow_policy_returned(&each, false);
	borrow_policy_borrowed(&each);
	for (answers = 0, ends = false; answers < 100 && !ends; answers++)
		ends = exchange(&each, 64, BORROW_MESSAGE_MAX + 1);
	tap_ok(ends && answers == 9, "and with a new loan");
	borrow_policy_borrowed(&third);
	ends = false;
	for (unsigned i = 0; i < 1000 && !ends; i++)
		ends = exchange(&third, 64, i % 3 ? 64 : BORROW_MESSAGE_MAX + 1);
	tap_ok(!ends, "every third answer: it stays");
}

/* A message for each sleep of the thread. Returns whether that ends the loan. */
static bool slow_message(struct borrow_policy *policy)
{
	spin_slept();
	exchange(policy, 64, 64);
	return borrow_policy_has_slept(policy);
}

/* So many messages before the thread sleeps again. */
static void quick_messages(struct borrow_policy *policy, unsigned messages)
{
	spin_slept();
	for (unsigned i = 0; i < messages; i++)
		exchange(policy, 64, 64);
	spin_slept();
}

/* The thread is one that sleeps for each message, whosever it is. */
static void become_slow(void)
{
	do
		spin_slept();
	while (!spin_served());
}

/* How many slow messages end the loan; 0: none does. */
static unsigned messages_until_slow(struct borrow_policy *policy)
{
	for (unsigned messages = 1; messages < 1000; messages++)
		if (slow_message(policy))
			return messages;
	return 0;
}

static void slow(void)
{
	struct borrow_policy policy = { 0 };

	borrow_policy_borrowed(&policy);
	become_slow();
	tap_ok(messages_until_slow(&policy) == 33, "a sleep for each of 33 messages: given back");
	tap_ok(messages_until_slow(&policy) == 33, "counted anew then");
	for (unsigned i = 0; i < 32; i++)
		slow_message(&policy);
	quick_messages(&policy, 100);
	exchange(&policy, 64, 64);
	become_slow();
	tap_ok(messages_until_slow(&policy) == 33, "it has not slept for some in between: anew");
	for (unsigned i = 0; i < 32; i++)
		slow_message(&policy);
	borrow_policy_borrowed(&policy);
	tap_ok(messages_until_slow(&policy) == 33, "and with a new loan");
	quick_messages(&policy, 10);
	for (unsigned i = 0; i < 1000 && !borrow_policy_has_slept(&policy); i++)
		quick_messages(&policy, 4);
	tap_ok(!borrow_policy_has_slept(&policy), "four messages to a sleep: it stays");
	config.borrow = BORROW_ALWAYS;
	become_slow();
	tap_ok(messages_until_slow(&policy) == 0, "MELIN_BORROW=always: no matter");
	config.borrow = BORROW_AUTO;
}

/* Whether so many turns, each so long after the one before, make it one to be borrowed. */
static bool pays_after(struct borrow_policy *policy, unsigned turns, uint64_t apart)
{
	policy->turns = 0;
	turn(policy, turns, apart);
	return borrow_policy_before(policy, true) == BORROW_NOW;
}

static void after_a_slow_loan(void)
{
	struct borrow_policy policy = { 0 };

	borrow_policy_borrowed(&policy);
	become_slow();
	messages_until_slow(&policy);
	borrow_policy_returned(&policy, false);
	now += 10000 * MS;
	tap_ok(!pays_after(&policy, 1000, 15 * MS), "messages 15 ms apart: it stays in the kernel");
	tap_ok(pays_after(&policy, 32, 15 * MS - 1), "faster ones: it is borrowed again");
	borrow_policy_borrowed(&policy);
	borrow_policy_returned(&policy, false);
	tap_ok(pays_after(&policy, 1000, 20 * MS), "a loan that was not slow: as at first");
}

/* Others want the processor of the thread, which has polled for a millisecond. */
static void become_crowded(void)
{
	spin_budget(now);
	now += MS;
	spin_is_crowded(now);
}

static void slow_in_a_crowd(void)
{
	struct borrow_policy policy = { 0 };

	borrow_policy_borrowed(&policy);
	become_slow();
	become_crowded();
	tap_ok(messages_until_slow(&policy) == 9, "others want the processor: nine tell enough");
}

/* How long the thread's connections stay in the kernel after a loan that ends slow now. */
static uint64_t rest_after_slow_loan(void)
{
	struct borrow_policy policy = { 0 };
	uint64_t rest = 0;

	borrow_policy_borrowed(&policy);
	become_slow();
	messages_until_slow(&policy);
	for (; !borrow_policy_has_room(&policy, false, now); rest += 10 * MS)
		now += 10 * MS;
	return rest;
}

static void rest_after_slow_loans(void)
{
	struct borrow_policy policy = { 0 };
	unsigned good = 0;

	contention = CONTENTION_LOW;
	now += 10000 * MS;
	for (uint64_t rest = 50 * MS; rest <= 3200 * MS; rest *= 2)
		good += rest_after_slow_loan() == rest;
	tap_ok(good == 7, "none for 50 ms after a slow loan, and for twice as long each time");
	tap_ok(rest_after_slow_loan() == 3200 * MS, "up to 3.2 s");
	now += 3200 * MS;
	tap_ok(rest_after_slow_loan() == 3200 * MS, "3.2 s without a slow loan: as before");
	now += 3210 * MS;
	tap_ok(rest_after_slow_loan() == 50 * MS, "longer than that: anew");
	rest_after_slow_loan();
	become_slow();
	messages_until_slow(&policy);
	now += 100 * MS;
	messages_until_slow(&policy);
	now += 90 * MS;
	tap_ok(!borrow_policy_has_room(&policy, false, now) &&
		       borrow_policy_has_room(&policy, false, now + 10 * MS),
	       "a second one that ends meanwhile does not count");
	turn(&policy, 20, US);
	borrow_policy_has_room(&policy, false, now);
	tap_ok(turns_until(&policy, false, BORROW_WATCH) == 6, "no look before further turns");
	config.borrow = BORROW_ALWAYS;
	tap_ok(borrow_policy_has_room(&policy, false, now), "MELIN_BORROW=always: no rest");
	config.borrow = BORROW_AUTO;
	now += 10000 * MS;
}

static void idle(void)
{
	struct borrow_policy policy = { 0 };

	turn(&policy, 8, US);
	borrow_policy_borrowed(&policy);
	exchange(&policy, 64, 64);
	tap_ok(!borrow_policy_is_idle(&policy, 0), "moved since the loan: not idle");
	tap_ok(borrow_policy_is_idle(&policy, 0), "not since the last look: idle");
	exchange(&policy, 64, 64);
	tap_ok(!borrow_policy_is_idle(&policy, 0), "moved again: not idle");
	exchange(&policy, 64, 64);
	tap_ok(borrow_policy_is_idle(&policy, 25u * 3600 * 1000), "for a day: back for once");
	turn(&policy, 8, US);
	borrow_policy_borrowed(&policy);
	tap_ok(borrow_policy_is_idle(&policy, 0),
	       "what the kernel has carried before does not count");
	config.borrow = BORROW_ALWAYS;
	tap_ok(!borrow_policy_is_idle(&policy, 0), "MELIN_BORROW=always: no matter");
	config.borrow = BORROW_AUTO;
}

static void lossy(void)
{
	tap_ok(!borrow_policy_is_lossy(1, 0) && !borrow_policy_is_lossy(0, 1), "one loss is none");
	tap_ok(borrow_policy_is_lossy(2, 0) && borrow_policy_is_lossy(1, 1) &&
		       borrow_policy_is_lossy(0, 2),
	       "two are too many");
	config.borrow = BORROW_ALWAYS;
	tap_ok(!borrow_policy_is_lossy(1000, 2) && borrow_policy_is_lossy(0, 3),
	       "MELIN_BORROW=always: three time-outs");
	config.borrow = BORROW_AUTO;
}

/* ---- the other policies ---- */

static void always(void)
{
	const struct borrow_policy policy = { 0 };

	config.borrow = BORROW_ALWAYS;
	tap_ok(borrow_policy_before(&policy, false) == BORROW_WATCH &&
		       borrow_policy_before(&policy, true) == BORROW_NOW,
	       "MELIN_BORROW=always: watched and borrowed before the first byte");
	config.borrow = BORROW_AUTO;
}

#define MOMENTS 10000

/* What chance says at so many moments of a process that begins with this seed. */
static bool moments_of(unsigned seed, bool moments[MOMENTS])
{
	int results[2], status = -1;
	size_t length = 0;
	ssize_t part = 1;
	pid_t child;

	if (pipe(results) < 0)
		return false;
	child = fork();
	if (child == 0) {
		config.borrow_seed = seed;
		for (size_t i = 0; i < MOMENTS; i++)
			moments[i] = borrow_policy_by_chance();
		_exit(write(results[1], moments, MOMENTS) == MOMENTS ? 0 : 1);
	}
	close(results[1]);
	for (; length < MOMENTS && part > 0; length += part > 0 ? (size_t)part : 0)
		part = read(results[0], (char *)moments + length, MOMENTS - length);
	close(results[0]);
	return waitpid(child, &status, 0) == child && status == 0 && length == MOMENTS;
}

static void chance(void)
{
	static bool first[MOMENTS], again[MOMENTS], other[MOMENTS];
	bool good = moments_of(7, first) && moments_of(7, again) && moments_of(8, other);
	unsigned changes = 0;

	for (size_t i = 0; i < MOMENTS; i++)
		changes += first[i];
	tap_ok(good && memcmp(first, again, sizeof(first)) == 0, "a seed makes the same moments");
	tap_ok(good && memcmp(first, other, sizeof(first)) != 0, "another one makes others");
	tap_ok(changes > MOMENTS / 5 && changes < MOMENTS * 3 / 10, "one moment in four: %u of %u",
	       changes, MOMENTS);
}

static void random_loans(void)
{
	struct borrow_policy policy = { 0 };
	unsigned loans = 0;

	config.borrow = BORROW_RANDOM;
	tap_ok(borrow_policy_before(&policy, false) == BORROW_WATCH, "random: watched at once");
	for (unsigned i = 0; i < 100; i++)
		loans += borrow_policy_before(&policy, true) == BORROW_NOW;
	tap_ok(loans == 100, "the first loan is as soon as it can be had");
	borrow_policy_borrowed(&policy);
	loans = 0;
	for (unsigned i = 0; i < 1000; i++)
		loans += borrow_policy_before(&policy, true) == BORROW_NOW;
	tap_ok(loans > 150 && loans < 350, "others by chance: %u of 1000", loans);
	config.borrow = BORROW_AUTO;
}

int main(void)
{
	chance();
	random_loans();
	always();
	turns();
	turns_apart();
	no_room();
	large_messages();
	attempts_refused();
	attempts_paced();
	reluctance();
	refused_before_loan();
	bulk();
	large_answers();
	slow();
	after_a_slow_loan();
	slow_in_a_crowd();
	rest_after_slow_loans();
	idle();
	lossy();
	return tap_done();
}
