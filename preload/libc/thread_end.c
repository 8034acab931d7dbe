/* SPDX-License-Identifier: BSD-3-Clause */
/* See thread_end.h. One of the program's keys of thread-specific data does for all. */
#include "preload/libc/thread_end.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

static void (*_Atomic functions[THREAD_END_FUNCTIONS])(void);

static pthread_key_t key;
static bool has_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void thread_ended(void *unused)
{
	(void)unused;
	for (int i = 0; i < THREAD_END_FUNCTIONS; i++) {
		void (*function)(void) = atomic_load(&functions[i]);

		if (function)
			function();
	}
}

static void make_key(void)
{
	has_key = pthread_key_create(&key, thread_ended) == 0;
}

/* Whether it is one of them from now on. */
static bool add(void (*function)(void))
{
	for (int i = 0; i < THREAD_END_FUNCTIONS; i++) {
		void (*present)(void) = NULL;

		if (atomic_compare_exchange_strong(&functions[i], &present, function) ||
		    present == function)
			return true;
	}
	return false;
}

bool thread_end_call(void (*function)(void))
{
	pthread_once(&once, make_key);
	/* With any value but NULL thread_ended() is called. */
	return has_key && add(function) && pthread_setspecific(key, &key) == 0;
}
