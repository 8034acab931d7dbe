/* SPDX-License-Identifier: BSD-3-Clause */
/* See keeper.h. */
#include "preload/process/keeper.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "preload/libc/capabilities.h"
#include "common/system_call.h"
#include "preload/libc/thread.h"

/* The thread's number, 0 if there is none: set and cleared by the thread. */
static _Atomic long keeper;

/* The thread sleeps on the first; who made it or has a job for it, on the second. */
static sem_t wake, done;

/* Set by others, and followed by a post of wake. job pairs with its exchange in keep(). */
static _Atomic bool ending;
static void (*_Atomic job)(void *argument);
static void *job_argument;

/* Signals of libc's own interrupt a wait. */
static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0)
		;
}

static void *keep(void *unused)
{
	(void)unused;
	capabilities_keep();
	atomic_store(&keeper, kernel_call(SYS_gettid, 0, 0, 0, 0));
	sem_post(&done);
	while (wait_for(&wake), !atomic_load(&ending)) {
		void (*function)(void *argument) = atomic_exchange(&job, NULL);

		capabilities_use();
		if (!function)
			continue;
		function(job_argument);
		sem_post(&done);
	}
	atomic_store(&keeper, 0);
	return NULL;
}

/* Not in a child that nobody told of: one that shares the memory, say. */
static bool is_there(long thread)
{
	return thread > 0 &&
	       kernel_call(SYS_tgkill, kernel_call(SYS_getpid, 0, 0, 0, 0), thread, 0, 0) == 0;
}

void keeper_begin(void)
{
	if (atomic_load(&keeper))
		return;
	sem_init(&wake, 0, 0);
	sem_init(&done, 0, 0);
	atomic_store(&ending, false);
	if (thread_start(NULL, keep, NULL) == 0)
		wait_for(&done);
}

void keeper_follow(void)
{
	if (atomic_load(&keeper))
		sem_post(&wake);
}

bool keeper_run(void (*function)(void *argument), void *argument)
{
	int cancellation;

	if (atomic_load(&ending) || !is_there(atomic_load(&keeper)))
		return false;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellation);
	job_argument = argument;
	atomic_store(&job, function);
	sem_post(&wake);
	wait_for(&done);
	pthread_setcancelstate(cancellation, NULL);
	return true;
}

void keeper_end(void)
{
	atomic_store(&ending, true);
	keeper_follow();
}

void keeper_end_and_wait(void)
{
	const struct timespec step = { .tv_nsec = 1000000 };
	long thread = atomic_load(&keeper);

	keeper_end();
	for (int i = 0; i < 1000 && is_there(thread); i++)
		kernel_call(SYS_nanosleep, (long)&step, 0, 0, 0);
}

void keeper_forked(void)
{
	atomic_store(&keeper, 0);
}
