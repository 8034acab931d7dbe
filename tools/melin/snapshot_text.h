/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A snapshot for people: lines as ss(8) prints them, and tables of counters. Not for programs
 * (snapshot_export.h).
 */
#ifndef MELIN_SNAPSHOT_TEXT_H
#define MELIN_SNAPSHOT_TEXT_H

#include <stdio.h>

#include "tools/melin/snapshot.h"

/* "198.18.0.1:6379", "[fd00::1]:80" */
#define NAME_TEXT_SIZE 64
const char *name_text(const struct sockaddr_storage *name, char text[NAME_TEXT_SIZE]);
/* "ESTAB", as ss(8) abbreviates it. */
const char *state_text(uint8_t state);
/* "12s", "3m", "2h": in the unit that leaves two or three digits; "-": unknown. */
#define AGE_TEXT_SIZE 24
const char *age_text(uint64_t milliseconds, char text[AGE_TEXT_SIZE]);
/* "borrowed", "stack" or "kernel: and why". */
#define CARRIER_TEXT_SIZE 112
const char *carrier_text(const struct connection *connection, char text[CARRIER_TEXT_SIZE]);

/* How many connections of a process have that carrier. */
size_t count_carried(const struct process *process, enum carrier carrier);

/* Each connection, two lines, below one line for each process. */
void print_connections(FILE *stream, const struct snapshot *snapshot);

/*
 * Each counter that is not 0. before: an earlier snapshot, for what has been added since, in so
 * many seconds; or NULL.
 */
void print_counters(FILE *stream, const struct snapshot *snapshot, const struct snapshot *before,
		    double seconds);

/* The process of that number in a snapshot; NULL: it was not there. */
const struct process *snapshot_find(const struct snapshot *snapshot, pid_t number);

#endif
