/* SPDX-License-Identifier: BSD-3-Clause */
/* When borrowing pays: borrow_policy.h. */
#include "preload/sockets/borrow_policy.h"

#include <stdatomic.h>
#include <time.h>

#include "preload/config/config.h"
#include "preload/libc/monotonic.h"
#include "preload/waiting/contention.h"
#include "preload/waiting/spin.h"

/*
 * A round trip over the stack saves some 20 us of the kernel's, and a loan costs 10 to 15 us where
 * the process has the rights, 40 with a broker. So the next two or three turns pay for it, if they
 * come: those who have come this often are believed to come again. A request and its answer are two
 * turns at most, and a greeting before them two more: a connection for each request is never
 * borrowed.
 */
#define TURNS_TO_BORROW 8

/* Frames must have been noticed before: two turns earlier, so that there is one. */
#define TURNS_TO_WATCH (TURNS_TO_BORROW - 2)

/* Turns that are further apart are those of an idle connection, which is in no hurry. */
#define SOON_NS 100000000u

/*
 * After a loan in which the thread has slept for each message they must come faster: at 50 a
 * second it would do so again, and meanwhile the tap costs whoever uses the interface some 0.15 us
 * of each frame. The coarse clock's tick is of 10 ms at most.
 */
#define SOON_AFTER_SLOW_NS 15000000u

/* A loan for fewer transfers than this did not pay. */
#define TRANSFERS_THAT_PAY 8

/* After a refusal that will pass: an acknowledgement is on its way, say. */
#define REFUSED_NS 200000u

/* A second attempt needs this many times the turns, a third the square of it, up to this power. */
#define RELUCTANCE     4
#define RELUCTANCE_MAX 4

/*
 * One loss in a while is mended well enough. Two in a loan tell of a path on which the kernel's
 * RACK and its congestion control (BBR, perhaps) are worth more than a shorter way through the
 * machine.
 */
#define LOSSES_MAX 1

/*
 * Whatever MELIN_BORROW says, after more than that: large segments may not pass any more, and no
 * message of ICMP's says so. The kernel then probes what passes, if it is set to
 * (tcp_mtu_probing); the stack does not.
 */
#define TIMEOUTS_MAX 2

/*
 * Whatever MELIN_BORROW says: the host's tracking of connections, if there is any, forgets one that
 * it has not seen for five days (broker/tracking.c). Some microseconds a day keep it known.
 */
#define BORROWED_MAX_MS (24u * 60 * 60 * 1000)

/* A look in the clock that the kernel's tick keeps: cheaper than the exact one by 15 ns. */
static uint64_t coarse_now(void)
{
	struct timespec now;

	clock_of_libc(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t turns_needed(const struct borrow_policy *policy, uint32_t turns)
{
	for (unsigned i = 0; i < policy->reluctance; i++)
		turns *= RELUCTANCE;
	return turns;
}

void borrow_policy_carried(struct borrow_policy *policy, enum borrow_direction direction,
			   size_t bytes)
{
	const uint64_t soon = policy->was_slow ? SOON_AFTER_SLOW_NS : SOON_NS;
	uint64_t now;

	policy->moves++;
	if (policy->direction != direction) {
		now = coarse_now();
		policy->turns = now - policy->turned < soon ? policy->turns + 1 : 1;
		policy->turned = now;
		policy->direction = (uint8_t)direction;
		policy->bytes = 0;
		if (direction == BORROW_RECEIVE)
			contention_message();
	}
	policy->bytes += bytes;
	if (policy->bytes > BORROW_MESSAGE_MAX)
		policy->turns = 0;
}

/*
 * By chance a short program would borrow nothing at all, now and then, and prove nothing: the first
 * loan is taken as soon as it can be had. Threads that see it late borrow once more.
 */
static _Atomic bool borrowed_once;

static bool ever_borrowed(void)
{
	return atomic_load_explicit(&borrowed_once, memory_order_relaxed);
}

enum borrow_step borrow_policy_before(const struct borrow_policy *policy, bool watched)
{
	const enum borrow_when when = config_get()->borrow;

	if (when == BORROW_ALWAYS)
		return watched ? BORROW_NOW : BORROW_WATCH;
	if (when == BORROW_RANDOM)
		return !watched					       ? BORROW_WATCH
		       : !ever_borrowed() || borrow_policy_by_chance() ? BORROW_NOW
								       : BORROW_STAY;
	if (__builtin_expect(policy->turns < TURNS_TO_WATCH, 1) ||
	    policy->turns < turns_needed(policy, TURNS_TO_WATCH))
		return BORROW_STAY;
	if (!watched)
		return BORROW_WATCH;
	if (policy->turns < turns_needed(policy, TURNS_TO_BORROW) ||
	    (policy->not_before && coarse_now() < policy->not_before))
		return BORROW_STAY;
	return BORROW_NOW;
}

/*
 * A thread that has spent some time on an attempt makes the next one after so many times as long:
 * borrowing takes a third of its time at most. An attempt that took very long has lost the
 * processor meanwhile, and says nothing.
 */
#define PAUSE_SHARE  2
#define PAUSE_MAX_NS 300000u

static _Atomic uint64_t next_attempt;

bool borrow_policy_begin(uint64_t *began)
{
	*began = clock_monotonic();
	return config_get()->borrow != BORROW_AUTO ||
	       *began >= atomic_load_explicit(&next_attempt, memory_order_relaxed);
}

void borrow_policy_end(uint64_t began)
{
	const uint64_t now = clock_monotonic();
	uint64_t pause = (now - began) * PAUSE_SHARE;

	if (pause > PAUSE_MAX_NS)
		pause = PAUSE_MAX_NS;
	atomic_store_explicit(&next_attempt, now + pause, memory_order_relaxed);
}

static void did_not_pay(struct borrow_policy *policy)
{
	if (policy->reluctance < RELUCTANCE_MAX)
		policy->reluctance++;
}

/*
 * That others want the processor is a guess about a loan; a connection with very many turns has its
 * trial, after some 20,000 of them. The next one takes twice as many, and so on, so often at most:
 * eight processes of PostgreSQL's on one core have one in a minute each. Where a stack has to start
 * first, which takes a process 30 ms, the first trial takes so many times as many.
 */
#define CROWDED_LOOKS 16
#define TRIALS_MAX    4
#define STARTS	      4

static unsigned looks_before_trial(const struct borrow_policy *policy, bool starts)
{
	return (starts ? STARTS * CROWDED_LOOKS : CROWDED_LOOKS) << policy->trials;
}

/*
 * The messages of a loan that was slow have waited longer than over the kernel, and the thread has
 * used up, by polling, what the kernel would have given it for the next ones. So the thread has
 * its next one after so long, and after twice as long each time, up to the longest, until one has
 * gone well for as long as the thread had to be without. With 10,000 messages a second much less
 * than one in a hundred is of such a loan.
 */
#define SLOW_REST_NS	 50000000u
#define SLOW_REST_MAX_NS (64ull * SLOW_REST_NS)

static __thread struct {
	uint64_t not_before, rest;
} slow;

/* Loans of the thread's other connections, which were borrowed before the rest, end in it. */
static void note_slow(uint64_t now)
{
	if (now < slow.not_before)
		return;
	if (!slow.rest || now - slow.not_before > slow.rest)
		slow.rest = SLOW_REST_NS;
	else if (slow.rest < SLOW_REST_MAX_NS)
		slow.rest *= 2;
	slow.not_before = now + slow.rest;
}

bool borrow_policy_has_room(struct borrow_policy *policy, bool starts, uint64_t now)
{
	if (config_get()->borrow != BORROW_AUTO)
		return true;
	if (now < slow.not_before) {
		policy->turns = 0;
		return false;
	}
	if (policy->crowded >= looks_before_trial(policy, starts))
		return true;
	switch (contention_look(now)) {
	case CONTENTION_LOW:
		policy->trials = 0;
		return true;
	case CONTENTION_HIGH:
		policy->crowded++;
		policy->turns = 0;
		did_not_pay(policy);
		return false;
	default:
		return false;
	}
}

unsigned borrow_policy_message(struct borrow_policy *policy)
{
	contention_message();
	spin_message_of(&policy->last_message);
	if (__builtin_expect(!spin_served(), 1))
		return 0;
	return spin_pauses(clock_monotonic()) ? BORROW_SLEPT_CROWDED : 1;
}

void borrow_policy_refused(struct borrow_policy *policy)
{
	policy->not_before = coarse_now() + REFUSED_NS;
}

void borrow_policy_begins_anew(struct borrow_policy *policy)
{
	policy->turns = 0;
}

void borrow_policy_borrowed(struct borrow_policy *policy)
{
	if (!ever_borrowed())
		atomic_store_explicit(&borrowed_once, true, memory_order_relaxed);
	policy->bytes = 0;
	policy->large = 0;
	policy->slept_for = 0;
	policy->was_slow = false;
	policy->seen = policy->moves;
	policy->borrowed_at = policy->moves;
	if (policy->crowded >= CROWDED_LOOKS && policy->trials < TRIALS_MAX)
		policy->trials++;
	policy->crowded = 0;
}

void borrow_policy_returned(struct borrow_policy *policy, bool in_vain)
{
	policy->turns = 0;
	policy->bytes = 0;
	policy->not_before = 0;
	if (in_vain || policy->moves - policy->borrowed_at < TRANSFERS_THAT_PAY)
		did_not_pay(policy);
}

bool borrow_policy_is_bulk(struct borrow_policy *policy)
{
	policy->bytes = 0;
	policy->large = 0;
	return config_get()->borrow == BORROW_AUTO;
}

bool borrow_policy_is_slow(struct borrow_policy *policy)
{
	policy->slept_for = 0;
	if (config_get()->borrow != BORROW_AUTO)
		return false;
	policy->was_slow = true;
	note_slow(clock_monotonic());
	return true;
}

bool borrow_policy_is_idle(struct borrow_policy *policy, uint32_t borrowed_for)
{
	const bool idle = policy->moves == policy->seen;

	policy->seen = policy->moves;
	return borrowed_for > BORROWED_MAX_MS || (idle && config_get()->borrow == BORROW_AUTO);
}

bool borrow_policy_is_lossy(unsigned recoveries, unsigned timeouts)
{
	return config_get()->borrow == BORROW_AUTO ? recoveries + timeouts > LOSSES_MAX
						   : timeouts > TIMEOUTS_MAX;
}

/* One moment in four: a connection is with each of the carriers for several calls on end. */
bool borrow_policy_by_chance(void)
{
	static _Atomic uint32_t state; /* 0: not begun */
	uint32_t number = atomic_load_explicit(&state, memory_order_relaxed);

	/* Neighbouring seeds are spread (Knuth's multiplicative hash; odd, so it makes no 0). */
	if (!number)
		number = config_get()->borrow_seed * 2654435769u;
	/* Marsaglia's xorshift; threads that step on each other's numbers do no harm. */
	number ^= number << 13;
	number ^= number >> 17;
	number ^= number << 5;
	atomic_store_explicit(&state, number, memory_order_relaxed);
	return number % 4 == 0;
}
