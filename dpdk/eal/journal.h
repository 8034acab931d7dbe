/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines for melin's log from threads that must not call the log themselves: DPDK's own threads,
 * whose descriptor table may not be the program's (see control_thread.h). The lines are kept here
 * and printed by the next program thread that passes by. Not a log: nothing is written to any file
 * here.
 */
#ifndef MELIN_JOURNAL_H
#define MELIN_JOURNAL_H

#include <stdbool.h>
#include <stdio.h>

#include "dpdk/link.h"

/*
 * Keeps one line, unless the same one waits already (a device that is opened a second time says all
 * of it again); the oldest is lost when too many wait.
 */
void journal_add(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints the lines that wait. On a program thread only. */
void journal_print(const struct link_config *config);

/* Whether there is anything to print; cheap enough for every burst. */
bool journal_waiting(void);

/* A stream for rte_openlog_stream(): DPDK's lines go to the journal at debug level. */
FILE *journal_stream(void);

/*
 * The first line that DPDK or libbpf gave as an error since journal_forget(), "" if none: those
 * that follow mostly say that something failed because of it.
 */
void journal_first_error(char *text, size_t size);
void journal_forget(void);

/* From the first call to the second what libbpf and libxdp say goes to the journal, too. */
void journal_capture_bpf(void);
void journal_release_bpf(void);

#endif
