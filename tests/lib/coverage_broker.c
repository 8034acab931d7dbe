/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A part of melin-broker where lines are counted (make coverage). The broker gives up opening files
 * before it serves anybody, and gcov writes what it has counted at the end. Filters and rules for
 * files are a thread's own: so a thread that is made before writes, and has no other use.
 */
#include <gcov.h>
#include <pthread.h>
#include <semaphore.h>

/* The linker's --wrap=main has the program begin below; the first of these is the broker's own. */
int __real_main(int count, char **arguments);
int __wrap_main(int count, char **arguments);

static sem_t has_ended;

static void *write_counters(void *unused)
{
	while (sem_wait(&has_ended) < 0)
		; /* a signal */
	__gcov_dump();
	return unused;
}

int __wrap_main(int count, char **arguments)
{
	pthread_t writer;
	int status;

	sem_init(&has_ended, 0, 0);
	if (pthread_create(&writer, NULL, write_counters, NULL))
		return 1;
	status = __real_main(count, arguments);
	sem_post(&has_ended);
	pthread_join(writer, NULL);
	return status;
}
