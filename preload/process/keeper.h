/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that keeps what a start of the stack takes while the program gives it up before it has
 * a socket: many servers become another user, and listen then. It sleeps until the first flow,
 * starts the stack for that, and ends. Not for when the program gives up something (rights.h), nor
 * for waiting until another process lets go of the device (pending.c).
 *
 * The caller has start_lock (process_stack.c), but for keeper_follow(). A child of fork() has no
 * such thread.
 */
#ifndef MELIN_KEEPER_H
#define MELIN_KEEPER_H

#include <stdbool.h>

/*
 * The thread begins, if there is none, with the caller's rights, and this returns when it does not
 * depend on the caller's any more. Without room for a thread there is none.
 */
void keeper_begin(void);

/* The program has fewer rights now: the thread lets go of what no start takes. Never waits. */
void keeper_follow(void);

/*
 * Runs function(argument) on the thread and waits for that; false: there is no such thread. Not a
 * cancellation point.
 */
bool keeper_run(void (*function)(void *argument), void *argument);

/*
 * The thread ends. The second waits until the process does not have it any more, 1 second at most.
 */
void keeper_end(void);
void keeper_end_and_wait(void);

/* In the child of a fork. */
void keeper_forked(void);

#endif
