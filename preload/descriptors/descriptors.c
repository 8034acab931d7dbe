/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The descriptor table and the memory of its objects. Not for the objects' own behaviour, which
 * is reached through struct object_operations of each kind.
 */
#include "preload/descriptors/descriptors.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "preload/descriptors/descriptor_room.h"
#include "preload/libc/signals.h"
#include "preload/libc/thread.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"

_Atomic(struct object *) descriptor_table[DESCRIPTOR_LIMIT];

/* The object of all descriptors of melin's own. Nobody looks at its counts. */
static struct object private_object = { .references = 1, .kind = OBJECT_PRIVATE };

/* The number that this thread is closing, for a handler that interrupts it; -1: none. */
static __thread int closes __attribute__((tls_model("initial-exec"))) = -1;

/*
 * In the place of an object whose descriptor is being closed (descriptor_close_begin()): a mark of
 * the thread that closes it, and of no other, since the number may be somebody else's, who closes
 * it as well, before the first one takes its mark away. It is odd, as no object's address is.
 */
static struct object *closing_mark(void)
{
	return (struct object *)((uintptr_t)&closes | 1);
}

static bool is_closing(const struct object *object)
{
	return (uintptr_t)object & 1;
}

/* See descriptor_highest(). */
static _Atomic int highest_known;

/* Protects free_list. Nothing is called while it is held. */
static pthread_mutex_t free_lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *free_list[OBJECT_PRIVATE];

static const struct object_operations *operations_of[OBJECT_PRIVATE];

void object_register(enum object_kind kind, const struct object_operations *operations)
{
	operations_of[kind] = operations;
}

/* Of the processors that melin runs on, or a part of one. Objects begin with what is used most. */
#define CACHE_LINE ((size_t)64)

static void *allocate_lines(size_t size)
{
	const size_t whole = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	void *memory = aligned_alloc(CACHE_LINE, whole);

	return memory ? memset(memory, 0, whole) : NULL;
}

void *object_allocate(enum object_kind kind, size_t size)
{
	struct object *object;

	signals_hold(); /* until the caller gives its reference back */
	pthread_mutex_lock(&free_lock);
	object = free_list[kind];
	if (object)
		free_list[kind] = object->next_free;
	pthread_mutex_unlock(&free_lock);
	if (!object) {
		object = allocate_lines(size);
		if (!object) {
			signals_release();
			return NULL;
		}
	} else {
		/* Not the count: slot_get() in another thread may be looking at it still. */
		memset((char *)object + sizeof(object->references), 0,
		       size - sizeof(object->references));
	}
	object->kind = kind;
	object->operations = operations_of[kind];
	atomic_store_explicit(&object->references, 1, memory_order_release);
	return object;
}

static void object_free(struct object *object)
{
	guarded_lock(&free_lock);
	object->next_free = free_list[object->kind];
	free_list[object->kind] = object;
	guarded_unlock(&free_lock);
}

/* Drops a reference, but does not release the signals that are held for it. */
static void drop(struct object *object)
{
	if (atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
		return;
	object->operations->destroy(object);
	object_free(object);
}

/*
 * Whether what is being closed is waited for. Not by the thread that closes it, nor by melin's own,
 * for which that may be waiting.
 */
static bool is_waited_for(int descriptor)
{
	return descriptor != closes && !thread_is_own();
}

/*
 * Another thread is in the middle of a change, which takes a few instructions, or it closes a
 * borrowed connection, which may take seconds. Then, and where that thread has a lower real-time
 * priority, yielding would not do.
 */
#define TRIES_YIELDED 64
#define PAUSE_NS      50000

void descriptor_pause(unsigned *tries)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	if ((*tries)++ < TRIES_YIELDED)
		kernel_call(SYS_sched_yield, 0, 0, 0, 0);
	else
		kernel_call(SYS_nanosleep, (long)&pause, 0, 0, 0);
}

/*
 * A new reference to what a slot of the table holds. The object may be closed at any moment, and
 * its memory be used for another one: so the reference is taken first, unless the count is zero,
 * and then the slot has to hold the same object still. The caller holds signals.
 *
 * The count is raised in the one order of all (seq_cst): who borrows a connection stores its state
 * and then reads the count, and who has got a reference here reads the state next. One of the two
 * sees the other (borrow.h).
 *
 * A descriptor that is being closed is waited for; waits false: it counts as closed.
 */
static struct object *slot_get(int descriptor, bool waits)
{
	_Atomic(struct object *) *slot = &descriptor_table[descriptor];
	unsigned tries = 0;

	for (;;) {
		struct object *object = atomic_load_explicit(slot, memory_order_acquire);
		uint32_t references;

		if (!object || object == &private_object)
			return object;
		if (is_closing(object)) {
			if (!(waits && is_waited_for(descriptor)))
				return NULL;
			descriptor_pause(&tries);
			continue;
		}
		references = atomic_load_explicit(&object->references, memory_order_relaxed);
		do {
			if (references == 0)
				break;
		} while (!atomic_compare_exchange_weak_explicit(
			&object->references, &references, references + 1, memory_order_seq_cst,
			memory_order_relaxed));
		if (references == 0) { /* the slot is about to change */
			descriptor_pause(&tries);
			continue;
		}
		if (atomic_load_explicit(slot, memory_order_acquire) == object)
			return object;
		drop(object); /* the slot has changed meanwhile */
	}
}

static struct object *get(int descriptor, bool waits)
{
	struct object *object;

	if (!descriptor_known(descriptor))
		return NULL;
	signals_hold();
	object = slot_get(descriptor, waits);
	if (!object || object == &private_object)
		signals_release();
	return object;
}

struct object *descriptor_get(int descriptor)
{
	return get(descriptor, true);
}

void object_get(struct object *object)
{
	signals_hold();
	atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
}

static struct object *of_kind(struct object *object, enum object_kind kind)
{
	if (!object || object == &private_object)
		return NULL;
	if (object->kind == kind)
		return object;
	object_put(object);
	return NULL;
}

struct object *descriptor_get_kind(int descriptor, enum object_kind kind)
{
	return of_kind(get(descriptor, true), kind);
}

struct object *descriptor_get_next(int *descriptor, enum object_kind kind)
{
	struct object *object = NULL;

	while (*descriptor <= descriptor_highest() &&
	       !(object = of_kind(get(*descriptor, false), kind)))
		++*descriptor;
	return object;
}

void object_put(struct object *object)
{
	if (object == &private_object)
		return;
	drop(object);
	signals_release();
}

static void note_highest(int descriptor)
{
	int highest = atomic_load_explicit(&highest_known, memory_order_relaxed);

	while (highest < descriptor &&
	       !atomic_compare_exchange_weak(&highest_known, &highest, descriptor))
		;
}

int descriptor_highest(void)
{
	return atomic_load(&highest_known);
}

void descriptor_install(int descriptor, struct object *object)
{
	/* What DPDK and libbpf open for themselves may even be in a table of their own. */
	if ((unsigned)descriptor >= DESCRIPTOR_LIMIT || thread_is_own())
		return;
	note_highest(descriptor);
	atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&object->descriptors, 1, memory_order_relaxed);
	atomic_store_explicit(&descriptor_table[descriptor], object, memory_order_release);
}

/* The object whose place in the table another one, or none, has taken; NULL: none that ends. */
static struct object *replace(int descriptor, struct object *successor, bool waits)
{
	_Atomic(struct object *) *slot = &descriptor_table[descriptor];
	struct object *object = atomic_load_explicit(slot, memory_order_acquire);
	unsigned tries = 0;

	for (;;) {
		if (!object || object == &private_object)
			return NULL;
		if (is_closing(object)) {
			if (!(waits && is_waited_for(descriptor)))
				return NULL;
			descriptor_pause(&tries);
			object = atomic_load_explicit(slot, memory_order_acquire);
		} else if (atomic_compare_exchange_weak_explicit(slot, &object, successor,
								 memory_order_acq_rel,
								 memory_order_acquire)) {
			return object;
		}
	}
}

/* The count goes first: of several threads that close numbers of one object one is the last. */
static void number_goes(struct object *object, int descriptor)
{
	const bool is_last =
		atomic_fetch_sub_explicit(&object->descriptors, 1, memory_order_acq_rel) == 1;

	object->operations->descriptor_closed(object, descriptor, is_last);
	if (is_last)
		object->operations->closed(object);
}

static void removed(struct object *object, int descriptor)
{
	signals_hold();
	number_goes(object, descriptor);
	object_put(object); /* the table's reference; signals are released */
}

void descriptor_remove(int descriptor)
{
	struct object *object =
		descriptor_known(descriptor) ? replace(descriptor, NULL, false) : NULL;

	if (object)
		removed(object, descriptor);
}

void descriptor_remove_of(int descriptor, struct object *object)
{
	struct object *expected = object;

	if (descriptor_known(descriptor) &&
	    atomic_compare_exchange_strong(&descriptor_table[descriptor], &expected, NULL))
		removed(object, descriptor);
}

bool descriptor_has(int descriptor, const struct object *object)
{
	return (unsigned)descriptor < DESCRIPTOR_LIMIT &&
	       atomic_load(&descriptor_table[descriptor]) == object;
}

bool descriptor_succeed(const struct object *object, _Atomic int *known, int descriptor,
			bool is_last)
{
	int successor = descriptor;

	if (!is_last) {
		if (atomic_load(known) != descriptor)
			return true;
		successor = descriptor_find(object);
	}
	if (successor >= 0)
		atomic_store(known, successor);
	return successor >= 0;
}

/* Unless the number is another one's by now. */
static void end_closing(int descriptor)
{
	struct object *expected = closing_mark();

	if (atomic_load(&descriptor_table[descriptor]) == expected)
		atomic_compare_exchange_strong(&descriptor_table[descriptor], &expected, NULL);
}

void descriptor_close_begin(int descriptor, struct closing *closing)
{
	struct object *object;
	enum object_end end;

	*closing = (struct closing){ .descriptor = -1, .outer = closes };
	if (!descriptor_known(descriptor))
		return;
	object = replace(descriptor, closing_mark(), true);
	if (!object)
		return;
	signals_hold();
	closes = descriptor;
	end = object->operations->end ? object->operations->end(object) : END_BEFORE_KERNEL;
	number_goes(object, descriptor);
	if (end == END_AFTER_KERNEL)
		closing->object = object;
	else
		object_put(object);
	if (end == END_BEFORE_KERNEL) {
		end_closing(descriptor);
		closes = closing->outer;
	} else {
		closing->descriptor = descriptor;
	}
}

void descriptor_close_end(const struct closing *closing)
{
	if (closing->descriptor >= 0) {
		end_closing(closing->descriptor);
		closes = closing->outer;
	}
	if (closing->object)
		object_put(closing->object);
}

int descriptor_find(const struct object *object)
{
	for (int descriptor = 0; descriptor <= descriptor_highest(); descriptor++)
		if (atomic_load_explicit(&descriptor_table[descriptor], memory_order_relaxed) ==
		    object)
			return descriptor;
	return -1;
}

void descriptor_protect(int descriptor)
{
	if ((unsigned)descriptor >= DESCRIPTOR_LIMIT)
		return;
	note_highest(descriptor);
	atomic_store(&descriptor_table[descriptor], &private_object);
}

void descriptor_unprotect(int descriptor)
{
	struct object *expected = &private_object;

	if ((unsigned)descriptor < DESCRIPTOR_LIMIT)
		atomic_compare_exchange_strong(&descriptor_table[descriptor], &expected, NULL);
}

void descriptor_told(int descriptor, bool is_open)
{
	if (is_open)
		descriptor_protect(descriptor);
	else
		descriptor_unprotect(descriptor);
}

bool descriptor_private(int descriptor)
{
	return (unsigned)descriptor < DESCRIPTOR_LIMIT &&
	       atomic_load_explicit(&descriptor_table[descriptor], memory_order_relaxed) ==
		       &private_object;
}

int descriptor_not_melins(int descriptor, int held)
{
	if (descriptor_private(descriptor) && signals_thread.depth == held && !thread_is_own())
		return INT_MAX; /* no limit of open descriptors is that high */
	return descriptor;
}

int descriptor_own_eventfd(unsigned value)
{
	int descriptor;

	descriptor_room_begin();
	descriptor = own_descriptor(eventfd(value, EFD_CLOEXEC));
	descriptor_room_end();
	return descriptor;
}

/* Whose numbers are counted; NULL: nobody's. */
static struct object *counted_at(int descriptor)
{
	struct object *object = atomic_load(&descriptor_table[descriptor]);

	return object == &private_object ? NULL : object;
}

/* A thread of the parent's may have been about to close one. That is open here for good. */
static void count_anew(int highest)
{
	for (int descriptor = 0; descriptor <= highest; descriptor++)
		if (is_closing(atomic_load(&descriptor_table[descriptor])))
			atomic_store(&descriptor_table[descriptor], NULL);
		else if (counted_at(descriptor))
			atomic_store(&counted_at(descriptor)->descriptors, 0);
	for (int descriptor = 0; descriptor <= highest; descriptor++)
		if (counted_at(descriptor))
			atomic_fetch_add(&counted_at(descriptor)->descriptors, 1);
}

/* It may be known by such a number still, which will be something else's. */
static void succeed_anew(int highest)
{
	for (int descriptor = 0; descriptor <= highest; descriptor++) {
		struct object *object = counted_at(descriptor);
		_Atomic int *known = object ? object->operations->known(object) : NULL;

		if (known && !descriptor_has(atomic_load(known), object))
			atomic_store(known, descriptor);
	}
}

static __thread int kept_private __attribute__((tls_model("initial-exec"))) = -1;

void descriptor_keep_private(int descriptor)
{
	kept_private = descriptor;
}

void descriptor_forget_all(void)
{
	for (int descriptor = descriptor_highest(); descriptor >= 0; descriptor--)
		atomic_store(&descriptor_table[descriptor], NULL);
}

static _Atomic bool tables_have_parted;

void descriptor_tables_part(void)
{
	atomic_store(&tables_have_parted, true);
}

bool descriptor_tables_have_parted(void)
{
	return atomic_load_explicit(&tables_have_parted, memory_order_relaxed);
}

void descriptor_close_private(void)
{
	int highest = descriptor_highest();

	count_anew(highest);
	succeed_anew(highest);
	for (int descriptor = 0; descriptor <= highest; descriptor++)
		if (descriptor_private(descriptor) && descriptor != kept_private)
			own_descriptor_close(descriptor);
	kept_private = -1; /* the child's own children have it no more */
}

void descriptor_before_fork(void)
{
	guarded_lock(&free_lock);
	descriptor_room_before_fork();
}

void descriptor_after_fork(void)
{
	descriptor_room_after_fork();
	guarded_unlock(&free_lock);
}
