/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload/waiting/contention.c: whether others want a thread's processor. Not for what is done
 * about it, which is borrow_policy.c's.
 */
#include "preload/waiting/contention.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/config/config.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/libc/monotonic.h"

#include "tap.h"

#define MS 1000000ull

static struct config config = { .spin_us = 50 };

const struct config *config_get(void)
{
	return &config;
}

int (*clock_of_libc)(clockid_t clock, struct timespec *now) = clock_gettime;

/* A thread that has run for so long, was kept from it for so long, in so many turns. */
static enum contention after(uint64_t ran, uint64_t waited, uint64_t turns, uint32_t messages)
{
	const struct contention_usage before = { .ran = 5, .waited = 7, .turns = 3, .messages = 9 };
	const struct contention_usage now = {
		.ran = 5 + ran, .waited = 7 + waited, .turns = 3 + turns, .messages = 9 + messages
	};

	return contention_between(&before, &now);
}

/* There is room above the few numbers of a test. */
void descriptor_room_begin(void)
{
}

void descriptor_room_end(void)
{
}

static void judges(void)
{
	tap_ok(after(300, 99, 10, 10) == CONTENTION_LOW, "less than a quarter is waiting");
	tap_ok(after(300, 100, 10, 10) == CONTENTION_HIGH, "a quarter is");
	tap_ok(after(0, 0, 0, 0) == CONTENTION_LOW, "nothing known, nobody in the way");
	tap_ok(after(300, 900, 10, 19) == CONTENTION_HIGH, "not two messages to a turn");
	tap_ok(after(300, 900, 10, 20) == CONTENTION_LOW, "two messages to a turn");
}

static void begins_anew(void)
{
	const struct contention_usage parent = { .ran = 900, .waited = 100, .turns = 50 };
	const struct contention_usage child = { .ran = 10, .waited = 5, .turns = 2 };

	tap_ok(contention_between(&parent, &child) == CONTENTION_UNKNOWN,
	       "a child's numbers say nothing beside its parent's");
}

static int lowest(void)
{
	const int descriptor = dup(STDOUT_FILENO);

	close(descriptor);
	return descriptor;
}

static void *look_once(void *unused)
{
	contention_look(2000 * MS);
	return unused;
}

/* Another thread may be about to get the lowest number: only a thread's first look takes one. */
static void takes_no_number(uint64_t now)
{
	const int number = lowest(), before = open_descriptors();
	struct rlimit limit, none;
	pthread_t thread;

	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){ (rlim_t)number, limit.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	tap_ok(contention_look(now) != CONTENTION_UNKNOWN, "a look needs no descriptor");
	setrlimit(RLIMIT_NOFILE, &limit);
	pthread_create(&thread, NULL, look_once, NULL);
	pthread_join(thread, NULL);
	tap_ok(lowest() == number && open_descriptors() == before,
	       "what a thread has kept goes with it");
}

/* What a program has that uses all keys is left alone, and no descriptor is kept. */
static int look_without_keys(void)
{
	static pthread_key_t first, key;
	const int before = open_descriptors();

	if (pthread_key_create(&first, NULL) != 0 || pthread_setspecific(first, &first) != 0)
		return 1;
	while (pthread_key_create(&key, NULL) == 0)
		;
	contention_look(1000 * MS);
	if (contention_look(1001 * MS) == CONTENTION_UNKNOWN)
		return 2;
	return pthread_getspecific(first) == &first && open_descriptors() == before ? 0 : 3;
}

/* This thread has looked before the fork. The child of a program under melin closes the file. */
static int look_in_child(void)
{
	pthread_t thread;
	int before;

	close_range(STDERR_FILENO + 1, ~0u, 0);
	contention_forked();
	before = open_descriptors();
	contention_look(3000 * MS);
	if (contention_look(3001 * MS) == CONTENTION_UNKNOWN || open_descriptors() != before + 1)
		return 1;
	pthread_create(&thread, NULL, look_once, NULL);
	pthread_join(thread, NULL);
	return open_descriptors() == before + 1 ? 0 : 2;
}

/* What it returns in the child of a fork. */
static int in_child(int (*function)(void))
{
	const pid_t child = fork();
	int status = -1;

	if (child == 0)
		_exit(function());
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void looks(void)
{
	uint64_t now = 1000 * MS;

	tap_ok(contention_look(now) == CONTENTION_UNKNOWN, "the first look does not tell");
	tap_ok(contention_look(now + MS - 1) == CONTENTION_UNKNOWN, "nor does one too soon");
	tap_ok(contention_look(now + MS) != CONTENTION_UNKNOWN, "one a millisecond later does");
	takes_no_number(now + 2 * MS);
	tap_ok(contention_look(now + 110 * MS) == CONTENTION_UNKNOWN,
	       "what was 100 ms ago does not count");
	config.spin_us = CONFIG_SPIN_MAX;
	tap_ok(contention_look(now + 110 * MS) == CONTENTION_LOW,
	       "a program that always polls has its processor");
}

int main(void)
{
	judges();
	begins_anew();
	tap_ok(in_child(look_without_keys) == 0, "a program that has used all keys keeps its own");
	looks();
	config.spin_us = 50;
	tap_ok(in_child(look_in_child) == 0, "the child of a fork keeps a descriptor of its own");
	return tap_done();
}
