/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deadlines of single connections, to the nanosecond: a queue whose first is found at once. lwIP's
 * timers visit every connection at each tick; what is finer than a tick hangs here. Not for what is
 * due regularly: timers.h.
 *
 * A deadline moves with every segment, mostly away. So the queue only learns of one that comes
 * nearer; one that has moved away is found to be early, and is put back, when its old time has
 * come.
 */
#ifndef MELIN_DEADLINE_H
#define MELIN_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#define DEADLINE_NEVER UINT64_MAX

struct deadline {
	uint64_t due_ns; /* when it is to be run; DEADLINE_NEVER: not */
	uint64_t key_ns; /* its place in the queue, not after due_ns */
	bool is_queued;
	/*
	 * A pairing heap: the first child, the next of the same parent, and the link that leads
	 * here.
	 */
	struct deadline *child, *sibling, **link;
	void (*run)(struct deadline *deadline);
};

/* All of these under the instance's lock. A queue is the first deadline, NULL: none. */
void deadline_start(struct deadline *deadline, void (*run)(struct deadline *deadline));
/* Moves it to that time of the stack's clock; DEADLINE_NEVER: it is not run. */
void deadline_set(struct deadline **queue, struct deadline *deadline, uint64_t due_ns);
/* Takes it out: its memory may go. */
void deadline_remove(struct deadline **queue, struct deadline *deadline);
/* When run_due() must be called next; not later than the first deadline, seldom earlier. */
static inline uint64_t deadline_next(struct deadline *const *queue)
{
	return *queue ? (*queue)->key_ns : DEADLINE_NEVER;
}
/* Runs the first, whose time in the queue has come, or puts it back. */
void deadline_run_first(struct deadline **queue, uint64_t now_ns);
/* Runs those that are due. What is run may set and remove deadlines, its own too. */
static inline void deadline_run_due(struct deadline **queue, uint64_t now_ns)
{
	while (deadline_next(queue) <= now_ns)
		deadline_run_first(queue, now_ns);
}

#endif
