/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that keeps the rights which a start of the stack needs. Many servers become another user
 * before they have a socket: the thread stays what the process was, sleeps until the first flow,
 * starts the stack for that, and ends. Not for the moments at which the program gives up rights
 * (rights.h), nor for waiting until another process lets go of the device (pending.c).
 *
 * The caller has start_lock (process_stack.c) in all functions but keeper_follow(). A child of
 * fork() does not have the thread.
 */
#ifndef MELIN_KEEPER_H
#define MELIN_KEEPER_H

#include <stdbool.h>

/*
 * Makes the thread, unless there is one, with the caller's rights. When this returns the thread has
 * rights of its own, whatever happens to the caller's. If no thread can be made there is none.
 */
void keeper_begin(void);

/*
 * The program has given up rights: the thread gives up those of them that a start does not need.
 * This does not wait for it.
 */
void keeper_follow(void);

/*
 * Runs function(argument) on the thread and waits until it has returned. False: there is no thread,
 * and nothing has run. This is no cancellation point.
 */
bool keeper_run(void (*function)(void *argument), void *argument);

/*
 * Tells the thread to end. The second function waits until it is no thread of the process any more,
 * for one second at most.
 */
void keeper_end(void);
void keeper_end_and_wait(void);

/* In the child of a fork(): there is no thread. */
void keeper_forked(void);

#endif
