/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds the status pages of processes and asks these for more (common/status_page.h). Not for what
 * is made of the answers.
 */
#ifndef MELIN_STATUS_READER_H
#define MELIN_STATUS_READER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/status_page.h"

struct status_reader {
	pid_t process;
	char program[32];	  /* its name as ps(1) has it, without what a terminal would obey */
	int file;		  /* the page's */
	struct status_page *page; /* read and write */
};

/*
 * Maps the page of a process. 0, and the caller closes it; or a negative errno value: -ESRCH: there
 * is no such process; -ENOENT: it has no page (no rules, or libmelin.so is not in it); -EACCES: the
 * kernel does not let this user look at it; -EPROTO: its melin is of another version than this one.
 */
int status_open(pid_t process, struct status_reader *reader);
void status_close(struct status_reader *reader);

/*
 * Ends a text of at most size bytes that a process has written, and makes a question mark of each
 * character that a terminal would obey, or that is none of ASCII.
 */
void status_make_printable(char *text, size_t size);

/* All processes that this user may look at and that have a page, by number; free() the list. */
pid_t *status_processes(size_t *count);

/* How long a reader waits for an answer: a stack is busy for milliseconds at most. */
#define STATUS_PATIENCE_MS 5000

/*
 * Asks for that (enum status_request; first is for STATUS_ASK_ROWS and STATUS_ASK_PASS) and waits
 * for the answer. The caller looks at the answer and then calls status_done(), in either case. 0;
 * -ENOENT: no stack has ever been wanted, nobody answers; -ETIMEDOUT, also if other readers do not
 * end.
 */
int status_ask(struct status_reader *reader, uint32_t wanted, uint32_t first, unsigned limit_ms);
void status_done(struct status_reader *reader);

/* Tells the process, which begins to borrow again, or does not begin any more. */
void status_set_drained(struct status_reader *reader, bool drained);

#endif
