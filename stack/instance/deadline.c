/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue of deadlines: deadline.h. A pairing heap (Fredman et al. 1986): to add one and to bring
 * one nearer is a comparison, to take the first out is logarithmic in the mean.
 */
#include "stack/instance/deadline.h"

#include <stddef.h>

void deadline_start(struct deadline *deadline, void (*run)(struct deadline *deadline))
{
	*deadline = (struct deadline){ .due_ns = DEADLINE_NEVER, .run = run };
}

/* Two heaps become one; each of them is a first deadline without siblings. */
static struct deadline *meld(struct deadline *one, struct deadline *other)
{
	struct deadline *later;

	if (!one || !other)
		return one ? one : other;
	later = one->key_ns <= other->key_ns ? other : one;
	one = later == other ? one : other;
	later->sibling = one->child;
	later->link = &one->child;
	if (later->sibling)
		later->sibling->link = &later->sibling;
	one->child = later;
	return one;
}

/* Siblings become one heap: in pairs on the way there, all together on the way back. */
static struct deadline *meld_all(struct deadline *first)
{
	struct deadline *pairs = NULL, *all = NULL, *next;

	for (; first; first = next) {
		struct deadline *second = first->sibling;

		next = second ? second->sibling : NULL;
		first->sibling = NULL;
		if (second)
			second->sibling = NULL;
		first = meld(first, second);
		first->sibling = pairs;
		pairs = first;
	}
	for (; pairs; pairs = next) {
		next = pairs->sibling;
		pairs->sibling = NULL;
		all = meld(all, pairs);
	}
	return all;
}

static void set_first(struct deadline **queue, struct deadline *first)
{
	*queue = first;
	if (first)
		first->link = queue;
}

static void detach(struct deadline *deadline)
{
	*deadline->link = deadline->sibling;
	if (deadline->sibling)
		deadline->sibling->link = deadline->link;
	deadline->sibling = NULL;
}

void deadline_remove(struct deadline **queue, struct deadline *deadline)
{
	struct deadline *children;

	if (!deadline->is_queued)
		return;
	detach(deadline);
	children = meld_all(deadline->child);
	deadline->child = NULL;
	deadline->is_queued = false;
	set_first(queue, meld(*queue, children));
}

static void enqueue(struct deadline **queue, struct deadline *deadline)
{
	deadline->key_ns = deadline->due_ns;
	deadline->is_queued = true;
	set_first(queue, meld(*queue, deadline));
}

void deadline_set(struct deadline **queue, struct deadline *deadline, uint64_t due_ns)
{
	deadline->due_ns = due_ns;
	if (deadline->is_queued ? deadline->key_ns <= due_ns : due_ns == DEADLINE_NEVER)
		return;
	if (deadline->is_queued)
		detach(deadline); /* with all below it, which is later still */
	enqueue(queue, deadline);
}

void deadline_run_first(struct deadline **queue, uint64_t now_ns)
{
	struct deadline *first = *queue;

	deadline_remove(queue, first);
	if (first->due_ns <= now_ns) {
		first->due_ns = DEADLINE_NEVER;
		first->run(first);
	} else if (first->due_ns != DEADLINE_NEVER) {
		enqueue(queue, first);
	}
}
