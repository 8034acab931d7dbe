/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads of melin's own in the program's process. They have every signal blocked, so that the
 * program's handlers never run there, and a stack of their own: the program's threads and
 * coroutines may have as little as a few KB left. Not for what the threads of stack and DPDK do.
 *
 * libc ends a process when the last of its threads ends (pthread_exit(3)) and counts every thread
 * that pthread_create(3) has made. Those of melin's are taken off that count, so that the process
 * ends when the program's last thread does. What an own thread creates is own in its turn, as the
 * threads that DPDK makes.
 */
#ifndef MELIN_THREAD_H
#define MELIN_THREAD_H

#include <pthread.h>
#include <stdbool.h>

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

/*
 * The same for what opens files for a moment: the program gets the lowest free number at any time,
 * and may count those that are open. So the thread has a table of descriptors of its own, which is
 * empty; apart says so. Without room for a thread or a table function() has the caller's.
 */
void thread_run_apart(void (*function)(void *argument, bool apart), void *argument);

/*
 * The process ends (exit(3) runs, say): from now on no thread of melin's that returns is taken for
 * the last one, which would call exit(3) a second time.
 */
void thread_process_ends(void);

/* The program makes a thread by pthread_create(3) or thrd_create(3). */
void thread_of_program(void);

/* In a child that was made by whatever call: its one thread is the last. As fork(3) does it. */
void thread_forked(void);

/* Whether the calling thread, one of the program's, is the last of these, as libc counts them. */
bool thread_is_last(void);

/* Whether the calling thread is melin's own, or is about to make one that is. */
bool thread_is_own(void);
/* pthread_create(3) of such a thread: the new one is melin's own. 0 or an errno value. */
int thread_create_own(pthread_t *thread, const pthread_attr_t *attributes,
		      void *(*function)(void *), void *argument);

#endif
