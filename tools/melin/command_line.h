/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the options of a subcommand from its table (commands.h), and prints the help that the same
 * table makes. Not for what the options mean.
 */
#ifndef MELIN_COMMAND_LINE_H
#define MELIN_COMMAND_LINE_H

#include <stddef.h>

#include "tools/melin/commands.h"

/*
 * The next option of argv (getopt_long(3)): its index in the table, its value in optarg; -1 behind
 * the last one: arguments begin at argv[optind]. options: the command's, if it has a table of its
 * own. A wrong option ends the process by command_usage(), --help with the help and status 0.
 */
int command_option(const struct command *command, const struct command_option *options, int argc,
		   char **argv);

/*
 * The value of an option of that name ("--watch") as a number of seconds between the two; any other
 * ends the process by command_usage().
 */
double command_seconds(const struct command *command, const char *option, const char *text,
		       double least, double most);

/* Says what is wrong and how the command is used on standard error; exits with EXIT_USAGE. */
__attribute__((noreturn, format(printf, 2, 3))) void command_usage(const struct command *command,
								   const char *format, ...);

/* "melin NAME: ..." on standard error, for what went wrong without being wrong usage. Returns 1. */
__attribute__((format(printf, 2, 3))) int command_failed(const struct command *command,
							 const char *format, ...);

/* What --help prints, on standard output: usage, summary, options. */
void command_help(const struct command *command, const struct command_option *options);

/*
 * Ends the process's output: exit status 0, or 1 and a line on standard error if what was printed
 * could not be written (a full disk). For the end of commands that print results.
 */
int command_output_status(const struct command *command, int status);

#endif
