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

/* The thread's number; 0: there is none. The thread itself sets and clears it. */
static _Atomic long keeper;

/*
 * The thread sleeps on the first until it has something to do. Whoever has made it, or has a job
 * for it, sleeps on the second until that is done.
 */
static sem_t wake, done;

/*
 * What the thread is to do when it wakes: others set one of these and then post wake. The thread
 * takes the job with the exchange in keep(), with which the store in keeper_run() pairs.
 */
static _Atomic bool ending;
static void (*_Atomic job)(void *argument);
static void *job_argument;

/* sem_wait(3), which signals of libc's own interrupt. */
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

/*
 * Whether the thread is one of this process. In a child that melin has not been told of, such as
 * one that shares the memory, the number is of a thread of the parent's.
 */
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
