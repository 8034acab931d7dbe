/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that owns DPDK. rte_eal_init() pins its caller, DPDK's threads inherit the caller's
 * signal mask, and its libraries open descriptors, so all of DPDK's control calls run here and
 * never on a thread of the program.
 *
 * The thread has every signal blocked and, where the kernel can do it (close_range(2) with
 * CLOSE_RANGE_UNSHARE, Linux 5.9), a descriptor table of its own, whose low numbers are
 * taken. So what DPDK opens has high numbers and is not in the program's table at all; what the
 * program's threads need to handle frames is then given to them under the same number, and the
 * numbers in between are reserved. The low numbers stay the program's: a program that says
 * dup2(fd, 7) without looking does not hit DPDK. Nor can DPDK or a library below it write to the
 * program's standard streams.
 */
#ifndef MELIN_CONTROL_THREAD_H
#define MELIN_CONTROL_THREAD_H

#include <stdbool.h>

struct control_thread;

enum control_table {
	CONTROL_IN_PROGRAMS, /* the program's table: what DPDK opens later is seen there as well */
	CONTROL_SHARED,	     /* its own, of which control_share() gives the program a part */
	CONTROL_APART,	     /* its own, and nobody else needs what is in it */
};

/*
 * Starts the thread, with a descriptor table of its own only if the kernel allows it. 0 or a
 * negative errno value.
 */
int control_start(enum control_table table, struct control_thread **control);

/* Whether the thread has a descriptor table of its own. */
bool control_has_table(const struct control_thread *control);

/* Runs work(argument) on the thread and waits for it. */
void control_run(struct control_thread *control, void (*work)(void *argument), void *argument);

/*
 * Gives the program's table those of DPDK's descriptors for which wanted() is true, and reserves
 * the other numbers. Does nothing unless the table is to be shared. 0 or a negative errno value.
 */
int control_share(struct control_thread *control, bool (*wanted)(int descriptor));

/* Calls visit() for each open descriptor that may be DPDK's, in the caller's table. */
void control_visit(struct control_thread *control, void (*visit)(int descriptor, void *context),
		   void *context);

/* Ends the thread and closes what was given to the program's table. */
void control_stop(struct control_thread *control);

/*
 * In a forked child: closes the child's copies of what was given to the program's table; the thread
 * is not there.
 */
void control_abandon(struct control_thread *control);

#endif
