/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The instance's lock: a futex that is spun on for a moment, because its holder is usually about to
 * let go of it. Not recursive; a thread that asks again (a signal handler that interrupted the
 * stack) is told so instead of waiting for itself.
 */
#ifndef MELIN_LOCK_H
#define MELIN_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct stack_lock {
	_Atomic uint32_t word; /* 0 free, 1 held, 2 held and somebody sleeps */
	/* pthread_self() of the holder; only ever compared with the reader's own. */
	_Atomic uintptr_t owner;
	uint64_t spun, slept; /* how often somebody had to, for it: changed by who has it */
};

/* 0, or -EDEADLK: the caller holds it. Pairs acquire with lock_release()'s release. */
int lock_acquire(struct stack_lock *lock);
/* The same without waiting; false: somebody holds it, perhaps the caller. */
bool lock_try(struct stack_lock *lock);
void lock_release(struct stack_lock *lock);

#endif
