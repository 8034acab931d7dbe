/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host mode: when it pays to borrow a connection from the kernel, and when no longer. All
 * thresholds are here, each with its reason. Not for how it is done (borrow.h), nor for what makes
 * giving back necessary whatever it costs.
 *
 * Any thread may call these while it has a reference to the connection. What two threads count at
 * the same time may be counted once: nothing but the moment of a change depends on it.
 */
#ifndef MELIN_BORROW_POLICY_H
#define MELIN_BORROW_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum borrow_direction {
	BORROW_NEITHER, /* nothing that would pay, and no moment to borrow */
	BORROW_RECEIVE,
	BORROW_SEND,
};

struct borrow_policy {
	uint8_t direction;   /* of the last bytes; 0: there were none */
	uint8_t reluctance;  /* so often has it been given back because it did not pay */
	uint8_t large;	     /* large messages of late: BORROW_LARGE_MAX */
	uint8_t slept_for;   /* messages in a row that the thread has slept for: BORROW_SLEPT_MAX */
	uint32_t turns;	     /* changes of direction that followed each other soon */
	size_t bytes;	     /* in this direction since the last turn */
	uint64_t turned;     /* when: nanoseconds of a coarse clock */
	uint64_t not_before; /* no attempt before this time, by the same clock */
	uint32_t moves, seen; /* transfers, and how many of them there were at the last look */
	uint32_t borrowed_at; /* and when it was borrowed last */
	uint16_t crowded; /* looks that have found others at the processor, since the last loan */
	bool was_slow;	  /* so the last loan has ended: borrow_policy_is_slow() */
	uint32_t last_message; /* its last one, for spin_message_of() */
	uint8_t trials;	       /* loans in spite of that, since a look has found nobody */
};

enum borrow_step {
	BORROW_STAY,  /* as it is */
	BORROW_WATCH, /* it is going to pay: its frames are to be noticed */
	BORROW_NOW,
};

/* The kernel has carried so many bytes of it, more than 0. */
void borrow_policy_carried(struct borrow_policy *policy, enum borrow_direction direction,
			   size_t bytes);
/* Before the kernel carries more: what is to be done first. */
enum borrow_step borrow_policy_before(const struct borrow_policy *policy, bool watched);
/*
 * The process spends a small share of its time on borrowing, so that a thousand connections for
 * which it pays at the same time do not make all requests wait for all of them. Around an attempt:
 * false, not now; else *began is what the end is told.
 */
bool borrow_policy_begin(uint64_t *began);
void borrow_policy_end(uint64_t began);
/*
 * Before the first step of a loan: false, the thread has lately slept for each message, because
 * others want its processor, or it is not known yet; or the thread's last loans were slow. starts:
 * it would be the first in its process, for which the stack starts. now: as *began.
 */
bool borrow_policy_has_room(struct borrow_policy *policy, bool starts, uint64_t now);
/* It cannot be borrowed yet, but perhaps soon. */
void borrow_policy_refused(struct borrow_policy *policy);

/* There is no broker: it is asked for after as many turns as at first, and no sooner. */
void borrow_policy_begins_anew(struct borrow_policy *policy);

/* It has been borrowed; it has been given back, because that pays or because it had to be. */
void borrow_policy_borrowed(struct borrow_policy *policy);
void borrow_policy_returned(struct borrow_policy *policy, bool in_vain);

/*
 * Messages of more bytes than this pay no more: over a veth an answer of 16 KB takes as long by
 * either way, one of 64 KB longer by the stack, and a memcached with values of 8 KB serves half of
 * what it does over the kernel.
 */
#define BORROW_MESSAGE_MAX ((size_t)4 * 1024)

/*
 * Each one counts two, each smaller one takes one away again: with small requests this is reached
 * after so many large answers, and what is an exception does not reach it.
 */
#define BORROW_LARGE_MAX 8

/*
 * What borrowing saves is saved while the thread polls, or serves several messages before it sleeps
 * again. If it sleeps for each message (they come slowly, or many processes share few processors),
 * a message costs its processor more over the stack: a round trip of 64 bytes takes 1.07 of the
 * kernel's, and 8 processes of PostgreSQL's on one core answer 0.85 of what they do over the
 * kernel. After so many such messages in a row the connection goes back. Where the thread has found
 * by polling that others want its processor, few tell enough: a program that computes there makes
 * each of them wait for a millisecond.
 */
#define BORROW_SLEPT_MAX     32
#define BORROW_SLEPT_CROWDED 4 /* what one of those counts */

/* More in one direction than this is bulk. */
#define BORROW_BULK_BYTES ((size_t)1024 * 1024)

/*
 * The stack has carried so many bytes of it. True: it is to be given back. Costs a few
 * instructions.
 */
bool borrow_policy_is_bulk(struct borrow_policy *policy);
/* A message begins. 0: the thread has not slept for nearly each one; else what it counts. */
unsigned borrow_policy_message(struct borrow_policy *policy);
static inline bool borrow_policy_moved(struct borrow_policy *policy,
				       enum borrow_direction direction, size_t bytes)
{
	policy->moves++;
	if (policy->direction != direction) {
		policy->direction = (uint8_t)direction;
		if (direction == BORROW_RECEIVE) {
			const unsigned slept = borrow_policy_message(policy);

			policy->slept_for = slept ? policy->slept_for + slept : 0;
		}
		if (policy->bytes > BORROW_MESSAGE_MAX)
			policy->large += 2;
		else if (policy->large)
			policy->large--;
		policy->bytes = 0;
	}
	policy->bytes += bytes;
	return __builtin_expect(
		       policy->bytes > BORROW_BULK_BYTES || policy->large > BORROW_LARGE_MAX, 0) &&
	       borrow_policy_is_bulk(policy);
}

/* After that: true, the thread sleeps for each message, so it is to be given back. */
bool borrow_policy_is_slow(struct borrow_policy *policy);
static inline bool borrow_policy_has_slept(struct borrow_policy *policy)
{
	return __builtin_expect(policy->slept_for > BORROW_SLEPT_MAX, 0) &&
	       borrow_policy_is_slow(policy);
}

/*
 * For each borrowed connection every LENDING_LOOK_MS: true, nothing has moved since the last look,
 * or the connection, borrowed for so many milliseconds, is to be seen by the kernel once.
 */
bool borrow_policy_is_idle(struct borrow_policy *policy, uint32_t borrowed_for);

/*
 * The stack has mended so many losses since the connection was borrowed. True: the kernel is to do
 * it from now on.
 */
bool borrow_policy_is_lossy(unsigned recoveries, unsigned timeouts);

/* MELIN_BORROW=random: whether to change the carrier at this moment. */
bool borrow_policy_by_chance(void);

#endif
