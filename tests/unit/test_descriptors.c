/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of descriptors when several threads close at once: a number that is reused before the
 * end of its close, all numbers of one object, and a fork meanwhile. The objects are this test's
 * own.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/descriptors/descriptor_room.h"
#include "preload/descriptors/descriptors.h"
#include "preload/libc/signals.h"
#include "preload/libc/thread.h"
#include "tests/unit/tap.h"

/* ---- what the table asks of others ---- */

__thread struct signals_thread signals_thread;

void signals_hold_cancellation(void)
{
}

void signals_run_deferred(void)
{
}

bool thread_is_own(void)
{
	return false;
}

void descriptor_room_begin(void)
{
}

void descriptor_room_end(void)
{
}

void descriptor_room_before_fork(void)
{
}

void descriptor_room_after_fork(void)
{
}

/* ---- objects ---- */

#define NUMBER	     7
#define OTHER_NUMBER 8

struct thing {
	struct object object;
	_Atomic int known; /* the number by which it is known */
	_Atomic int gone, ends;
};

static void number_closed(struct object *object, int descriptor, bool is_last)
{
	struct thing *thing = (struct thing *)object;
	unsigned tries = 0;

	while (!descriptor_succeed(object, &thing->known, descriptor, is_last))
		descriptor_pause(&tries);
	/* What is known is open as long as somebody is in here. */
	if (atomic_load(&thing->known) < 0)
		thing->gone = -1000;
	thing->gone++;
}

static void thing_closed(struct object *object)
{
	((struct thing *)object)->ends++;
}

static _Atomic int *thing_known(struct object *object)
{
	return &((struct thing *)object)->known;
}

/* The next close forks in its middle. */
static bool forks;
static pid_t child;

/* What a thread of the parent's was closing is nobody's there. */
static int check_child(const struct thing *thing)
{
	descriptor_close_private();
	return descriptor_known(NUMBER) || thing->object.descriptors != 1 ||
	       thing->known != OTHER_NUMBER;
}

/* The place in the table is a mark by now, and the object is known by that number still. */
static enum object_end thing_end(const struct object *object)
{
	if (!forks)
		return END_WITH_KERNEL;
	forks = false;
	child = fork();
	if (child == 0)
		_exit(check_child((const struct thing *)object));
	return END_WITH_KERNEL;
}

static void destroy(struct object *object)
{
	(void)object;
}

static const struct object_operations operations = {
	.descriptor_closed = number_closed,
	.closed = thing_closed,
	.end = thing_end,
	.known = thing_known,
	.destroy = destroy,
};

static struct thing *make(const int *numbers, int count)
{
	struct thing *thing = object_allocate(OBJECT_SOCKET, sizeof(*thing));

	if (!thing)
		exit(1);
	for (int i = 0; i < count; i++)
		descriptor_install(numbers[i], &thing->object);
	thing->known = numbers[0];
	return thing;
}

/* ---- a number that is reused ---- */

static pthread_barrier_t barrier;

static void *close_second(void *unused)
{
	struct closing closing;

	(void)unused;
	descriptor_close_begin(NUMBER, &closing);
	pthread_barrier_wait(&barrier); /* begun */
	pthread_barrier_wait(&barrier); /* looked at */
	descriptor_close_end(&closing);
	return NULL;
}

/* Between the first close's begin and its end the number becomes another one's, who closes it. */
static void number_is_reused(void)
{
	const int number = NUMBER;
	struct thing *first = make(&number, 1), *second;
	struct closing closing;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	descriptor_close_begin(NUMBER, &closing);
	tap_ok(descriptor_known(NUMBER), "a number is being closed");
	second = make(&number, 1);
	pthread_create(&thread, NULL, close_second, NULL);
	pthread_barrier_wait(&barrier);
	descriptor_close_end(&closing);
	tap_ok(descriptor_known(NUMBER), "its next close is not ended by the end of the first one");
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	tap_ok(!descriptor_known(NUMBER) && first->ends == 1 && second->ends == 1,
	       "but by its own");
	object_put(&first->object);
	object_put(&second->object);
}

/* ---- all numbers of an object at once ---- */

#define NUMBERS 3
#define ROUNDS	20000

static const int numbers[NUMBERS] = { 20, 21, 22 };

static void *close_one(void *argument)
{
	const int *number = argument;

	for (int i = 0; i < ROUNDS; i++) {
		struct closing closing;

		pthread_barrier_wait(&barrier); /* installed */
		descriptor_close_begin(*number, &closing);
		descriptor_close_end(&closing);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void all_are_closed(void)
{
	pthread_t threads[NUMBERS];
	int well = 0;

	pthread_barrier_init(&barrier, NULL, NUMBERS + 1);
	for (int i = 0; i < NUMBERS; i++)
		pthread_create(&threads[i], NULL, close_one, (void *)(uintptr_t)&numbers[i]);
	for (int i = 0; i < ROUNDS; i++) {
		struct thing *thing = make(numbers, NUMBERS);

		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		well += thing->gone == NUMBERS && thing->ends == 1;
		object_put(&thing->object);
	}
	for (int i = 0; i < NUMBERS; i++)
		pthread_join(threads[i], NULL);
	tap_ok(well == ROUNDS,
	       "%d of %d objects whose numbers are closed at once are known by one to their end",
	       well, ROUNDS);
}

/* ---- a fork in the middle of a close ---- */

/* As if another thread had closed: in the child nobody ends what was begun. */
static void forked_meanwhile(void)
{
	static const int two[] = { NUMBER, OTHER_NUMBER };
	struct thing *thing = make(two, 2);
	struct closing closing;
	int status = -1;

	forks = true;
	descriptor_close_begin(NUMBER, &closing);
	descriptor_close_end(&closing);
	waitpid(child, &status, 0);
	tap_ok(status == 0, "in the child of a fork an object is known by a number that it has");
	descriptor_remove(OTHER_NUMBER);
	object_put(&thing->object);
}

int main(void)
{
	object_register(OBJECT_SOCKET, &operations);
	forked_meanwhile();
	number_is_reused();
	all_are_closed();
	return tap_done();
}
