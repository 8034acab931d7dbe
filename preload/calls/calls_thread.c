/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: pthread_create(3), to know melin's own threads from the program's. See thread.h.
 */
#include "preload/libc/thread.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "preload/libc/symbols.h"

/*
 * libc's count of threads. It is no interface for programs, but one for debuggers
 * (libthread_db), which find it by this name; that has kept it there since NPTL began. Where it
 * is missing, a process whose main thread has left by pthread_exit(3) does not end by itself.
 */
static const char libc_count_name[] = "__nptl_nthreads";

/* More than a process can have threads (PID_MAX_LIMIT of Linux). */
#define MANY_THREADS (1u << 22)

/* How deep the thread is in thread_own_begin(); an own thread is so from its first instruction. */
static __thread int own_depth __attribute__((tls_model("initial-exec")));

struct own_thread {
	void *(*function)(void *);
	void *argument;
};

/* NULL if this libc has none. */
static unsigned *libc_count(void)
{
	static unsigned *address; /* the same whoever looks it up */
	unsigned *found = __atomic_load_n(&address, __ATOMIC_RELAXED);

	if (!found) {
		found = dlsym(RTLD_DEFAULT, libc_count_name);
		__atomic_store_n(&address, found, __ATOMIC_RELAXED);
	}
	return found;
}

static void count(unsigned number)
{
	if (libc_count())
		__atomic_fetch_add(libc_count(), number, __ATOMIC_SEQ_CST);
}

bool thread_is_last(void)
{
	return libc_count() && __atomic_load_n(libc_count(), __ATOMIC_SEQ_CST) == 1;
}

void thread_own_begin(void)
{
	own_depth++;
}

void thread_own_end(void)
{
	own_depth--;
}

bool thread_is_own(void)
{
	return own_depth > 0;
}

void thread_process_ends(void)
{
	count(MANY_THREADS);
}

/* libc is about to take this thread off the count. */
static void own_ends(void *unused)
{
	(void)unused;
	count(1);
}

static void *run_own(void *argument)
{
	const struct own_thread own = *(struct own_thread *)argument;
	void *volatile result = NULL;

	free(argument);
	thread_own_begin();
	pthread_cleanup_push(own_ends, NULL);
	result = own.function(own.argument);
	pthread_cleanup_pop(1);
	return result;
}

/*
 * The creator takes the thread off the count, not the thread itself: the creator is the program's,
 * or works for a thread of the program's that waits for it, so that the count does not get to zero
 * while nobody looks at it.
 */
INTERPOSED int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			      void *(*function)(void *), void *argument)
{
	struct own_thread *own;
	int error;

	if (__builtin_expect(own_depth == 0, 1))
		return libc()->pthread_create(thread, attributes, function, argument);
	own = malloc(sizeof(*own));
	if (!own)
		return EAGAIN;
	*own = (struct own_thread){ function, argument };
	error = libc()->pthread_create(thread, attributes, run_own, own);
	if (error)
		free(own);
	else
		count(-1u);
	return error;
}
