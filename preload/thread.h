/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads of melin's own in the program's process. They have every signal blocked, so that the
 * program's handlers never run there, and a stack of their own: the program's threads and
 * coroutines may have as little as a few KB left. Not for the threads of the stack and of DPDK.
 */
#ifndef MELIN_THREAD_H
#define MELIN_THREAD_H

#include <pthread.h>

/*
 * As pthread_create(3) with all signals blocked; for a NULL thread nobody joins it. Rights, limits
 * and namespaces are the caller's. 0, or a negative errno value.
 */
int thread_start(pthread_t *thread, void *(*function)(void *), void *argument);

/*
 * Runs function(argument) on such a thread and waits for it: what takes more of the stack than
 * a caller may have. Without room for a thread it runs on the caller's. Not a cancellation point.
 */
void thread_run(void (*function)(void *), void *argument);

#endif
