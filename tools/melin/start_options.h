/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options by which melin run is told how melin is to start, and melin check which start it is
 * to judge: rules, a profile, and one option for each variable. An option overrides the
 * environment, and that a profile. Not for what the variables mean: the library's own parser
 * (preload/config) reads them here, too, so that a mistake is told before anything is started.
 */
#ifndef MELIN_START_OPTIONS_H
#define MELIN_START_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/melin/command_line.h"

/* At most: the three of the rules and the profile, those of the variables, and the end. */
#define START_OPTIONS_MAX 44

/* What the options have said; all zero before the first of them. */
struct start_options {
	const char *profile;
	char *flows;
};

/* setenv(3), over what is there; it ends the process for want of memory. */
void start_options_set(const char *name, const char *value);

/* Writes their rows, and the end of the table behind them. */
void start_options_add(struct command_option *rows);

/* The option of that row, counted from the first of theirs, with getopt()'s optarg. */
void start_options_take(struct start_options *start, size_t row);

/*
 * Sets the variables as melin run has them, also MELIN_FLOWS if nothing has said any, and reads
 * them: config_get() is the program's afterwards. A mistake ends the process by command_usage().
 */
void start_options_apply(const struct command *command, const struct start_options *start);

/* The variable of that number, "MELIN_FLOWS"; NULL: no more. Static memory, until the next call. */
const char *start_options_variable(size_t index);

#endif
