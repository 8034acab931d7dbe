/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether others keep the calling thread from its processor while the kernel carries its
 * connections. Not for a thread that polls: spin.h.
 */
#ifndef MELIN_CONTENTION_H
#define MELIN_CONTENTION_H

#include <stdint.h>

enum contention {
	CONTENTION_UNKNOWN, /* a look some time later will tell */
	CONTENTION_LOW,
	CONTENTION_HIGH,
};

/* What a thread has had by a time. The kernel's numbers are 0 where they are not shown. */
struct contention_usage {
	uint64_t at;	      /* clock_monotonic() */
	uint64_t ran, waited; /* on the processor, and ready to be: nanoseconds */
	uint64_t turns;	      /* how often it has come to run */
	uint32_t messages;
};

/* Judges the time between two usages of one thread. UNKNOWN: they are of different threads. */
enum contention contention_between(const struct contention_usage *before,
				   const struct contention_usage *after);

/* The calling thread has got a message, of whichever connection. */
void contention_message(void);

/*
 * Looks how much others want the thread's processor. HIGH: between the last look and this one the
 * thread has waited for its processor for a good part of the time that it wanted it, and has slept
 * for nearly each message: then it would sleep for each of them over the stack as well. now:
 * clock_monotonic().
 */
enum contention contention_look(uint64_t now);

/* In the child of a fork, which closes the descriptors that its parent's threads keep. */
void contention_forked(void);

#endif
