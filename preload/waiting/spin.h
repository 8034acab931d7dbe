/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a waiting call polls before it sleeps: MELIN_SPIN_US at most, and not at all when the
 * thread's waits have lately lasted longer than that, or when others want the processor. Not for
 * the polling itself: wait.c.
 */
#ifndef MELIN_SPIN_H
#define MELIN_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Others that take less than this share of the time are the kernel's threads and the like, which
 * are on every processor now and then: to sleep for their sake would cost the program more than
 * it helps them. A program that computes takes half of it, a peer on the same processor more.
 */
#define SPIN_OTHERS_SHARE 4

/* A thread that gets fewer messages than this to a sleep sleeps for nearly each one. */
#define SPIN_MESSAGES_FEW 2

/*
 * For how many nanoseconds the calling thread may poll in the wait that it begins now; CLOCK_NEVER:
 * it does not sleep at all.
 */
uint64_t spin_budget(uint64_t now);

/*
 * Between two looks, of which the first was at now: lets others have the processor now and then.
 * True: one of them was waiting for it, so the thread should sleep, and will not poll for a while.
 */
bool spin_is_crowded(uint64_t now);

/*
 * A thread's turn at its processor: from when it has slept, or has let others have the processor,
 * to when it does so again. What the program's other threads do in their turns meanwhile is no
 * crowd, and is not what polling costs.
 */
void spin_turn_begins(uint64_t now);
void spin_turn_ends(uint64_t now);
/* The thread has got what it has waited for. */
void spin_served_in_turn(void);
/*
 * For how many nanoseconds others have served in their turns while this thread waited, in all its
 * waits. With the second function a wait begins: what others have served before is left out.
 */
uint64_t spin_shared(void);
void spin_wait_begins(void);
/*
 * At the beginning of a wait: a thread that has had a long turn ends it, if others wait for theirs.
 */
void spin_give_way(void);
/* In the child of fork(): no other thread waits for its turn. */
void spin_forked(void);

/* The thread does not poll at that time, since others have wanted its processor. */
bool spin_pauses(uint64_t now);

/* The thread has slept in a wait. */
void spin_slept(void);
/* The thread has got a message. Returns whether it has slept for nearly each one of late. */
bool spin_served(void);

/*
 * The thread has got a message of a connection, for which *last, 0 at first, is kept; and it has
 * found nothing: until when it is to sleep, whatever comes, or CLOCK_NEVER, it goes on looking. The
 * third function is called at the end of that sleep: where it takes far longer naps are given up.
 */
void spin_message_of(uint32_t *last);
uint64_t spin_nap(uint64_t now);
void spin_nap_ends(uint64_t now);

/* The wait has ended with what it was for, after so many nanoseconds of polling or sleep. */
void spin_learn(uint64_t nanoseconds);

/*
 * The wait has ended at its time-out. If that was short it says nothing about how long the wait
 * would have lasted, and nothing is learnt.
 */
void spin_timed_out(uint64_t nanoseconds);

#endif
