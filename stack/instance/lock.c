/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The instance's lock: lock.h.
 */
#include "stack/instance/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/spin_pause.h"
#include "common/system_call.h"

/* About 2 us: a burst with its answers takes as long, and a sleep in the kernel costs more. */
#define SPINS 200

static void futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
	kernel_call(SYS_futex, (long)word, operation | FUTEX_PRIVATE_FLAG, value, 0);
}

static bool take(struct stack_lock *lock, uint32_t value)
{
	uint32_t unlocked = 0;

	if (!atomic_compare_exchange_strong_explicit(&lock->word, &unlocked, value,
						     memory_order_acquire, memory_order_relaxed))
		return false;
	atomic_store_explicit(&lock->owner, (uintptr_t)pthread_self(), memory_order_relaxed);
	return true;
}

bool lock_try(struct stack_lock *lock)
{
	return take(lock, 1);
}

int lock_acquire(struct stack_lock *lock)
{
	for (int i = 0; i < SPINS; i++) {
		if (take(lock, 1)) {
			if (i > 0)
				lock->spun++;
			return 0;
		}
		if (i == 0 && atomic_load_explicit(&lock->owner, memory_order_relaxed) ==
				      (uintptr_t)pthread_self())
			return -EDEADLK;
		spin_pause();
	}
	/* The word says 2 from here on, so that whoever holds the lock wakes a sleeper. */
	while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
		futex(&lock->word, FUTEX_WAIT, 2);
	lock->slept++;
	atomic_store_explicit(&lock->owner, (uintptr_t)pthread_self(), memory_order_relaxed);
	return 0;
}

void lock_release(struct stack_lock *lock)
{
	atomic_store_explicit(&lock->owner, 0, memory_order_relaxed);
	if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)
		futex(&lock->word, FUTEX_WAKE, 1);
}
