/* SPDX-License-Identifier: BSD-3-Clause */
/* See thread.h. */
#include "thread.h"

#include <errno.h>
#include <signal.h>

/* The dynamic linker's, DPDK's and libbpf's start need some 50 KB. */
#define STACK_SIZE (512 * 1024)

struct job {
	void (*function)(void *argument);
	void *argument;
};

int thread_start(pthread_t *thread, void *(*function)(void *), void *argument)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t started;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (!thread)
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	thread_own_begin();
	error = pthread_create(thread ? thread : &started, &attributes, function, argument);
	thread_own_end();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -error;
}

static void *do_job(void *argument)
{
	const struct job *job = argument;

	job->function(job->argument);
	return NULL;
}

void thread_run(void (*function)(void *), void *argument)
{
	struct job job = { function, argument };
	int saved = errno, cancellation;
	pthread_t thread;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellation);
	if (thread_start(&thread, do_job, &job) == 0)
		pthread_join(thread, NULL);
	else
		function(argument);
	pthread_setcancelstate(cancellation, NULL);
	errno = saved;
}
