/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interposed: pthread_create(3) and C11's thrd_create, to know melin's own threads from the
 * program's. See thread.h.
 */
#include <pthread.h>
#include <threads.h>

#include "preload/libc/symbols.h"
#include "preload/libc/thread.h"

INTERPOSED int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			      void *(*function)(void *), void *argument)
{
	if (__builtin_expect(thread_is_own(), 0))
		return thread_create_own(thread, attributes, function, argument);
	thread_of_program();
	return libc()->pthread_create(thread, attributes, function, argument);
}

/* libc's does not come by pthread_create(3). melin makes none of its threads so. */
INTERPOSED int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
	thread_of_program();
	return libc()->thrd_create(thread, function, argument);
}
