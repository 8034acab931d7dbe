/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * This process's status page (common/status_page.h, which says what it is and who may look): it is
 * made when the library begins with rules, and in the child of a fork. Not for what readers ask for
 * (sockets/status_rows.h).
 *
 * If no page can be made (no memory, no descriptor, a limit of file sizes that is smaller), the
 * counters are kept in memory that nobody else sees, and the program notices nothing.
 */
#ifndef MELIN_STATUS_H
#define MELIN_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status_page.h"

/* Never NULL. Changes in the child of a fork alone, before it has a second thread. */
extern struct status_page *status_page;

/*
 * Makes the page, by a dozen of system calls. The second is for the child of a fork, whose page is
 * its parent's until then: one more.
 */
void status_begin(void);
void status_forked(void);
/* System calls are filtered now: children keep their counts to themselves. */
void status_filtered(void);
bool status_is_filtered(void);

/* Counts a flow: from any thread, and from signal handlers too. It makes no system call. */
void flow_counted(enum flow_count which);
/*
 * The same, and noted for the descriptor that is that connection, with the enum refusal
 * (broker/lender.h) that has led to it, or 0.
 */
void flow_counted_at(int descriptor, enum flow_count which, uint8_t refusal);
/* The connection stays what it is: it has not been borrowed, for that reason. */
void status_refused_at(int descriptor, uint8_t refusal);
/*
 * The connection is given back, and the kernel's socket counts its bytes from 0 again: so many are
 * added to those that were before.
 */
void status_carried_at(int descriptor, uint64_t sent, uint64_t received);
/* How many flows of that kind were counted. */
unsigned long flow_count_of(enum flow_count which);

/* Whether melin drain wants no borrowing. Sequentially consistent: see borrow_now(). */
static inline bool status_is_drained(void)
{
	return atomic_load(&status_page->drained);
}

/* A socket has this number from now on: what was said of the one that had it before is void. */
void status_begins_at(int descriptor);

/*
 * Whether another process has said that it takes the socket of that number. Sequentially
 * consistent, likewise.
 */
bool status_is_passed_at(int descriptor);

/* A wait of the calling thread's that did not end at once has ended. */
void status_wait_ended(bool slept);

/* The time now, and how long ago another one was, in ms: times as in struct status_descriptor. */
uint32_t status_now(void);
uint32_t status_age(uint32_t since);

#endif
