/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The subcommands of melin(1): what each is made of, and one function for each. A new one is a file
 * beside this, a prototype here and a line of the table in melin.c. Not for how options are read
 * (command_line.h).
 */
#ifndef MELIN_COMMANDS_H
#define MELIN_COMMANDS_H

#include <stdbool.h>

#define EXIT_USAGE 2 /* of every command that is used in a wrong way */

struct command_option {
	const char *name;  /* "listen", for --listen; NULL: the end of the table */
	char letter;	   /* 'l' for -l; 0: there is none */
	const char *value; /* what the value is, "PORTS"; NULL: the option takes none */
	const char *help;  /* one line */
};

struct command {
	const char *name;
	const char *arguments; /* "[OPTION...] [PID...]", for the usage line */
	const char *summary;   /* one line, for "melin help" */
	/*
	 * The whole command, argv[0] being its name. Returns the exit status: 0, 1 if what was
	 * asked for could not be done (said on standard error), EXIT_USAGE.
	 */
	int (*run)(const struct command *command, int argc, char **argv);
	/* Whether options end with the first argument that is none: the rest is another program's.
	 */
	bool stops;
};

int command_check(const struct command *command, int argc, char **argv);
int command_run(const struct command *command, int argc, char **argv);
int command_stat(const struct command *command, int argc, char **argv);
int command_top(const struct command *command, int argc, char **argv);
int command_pcap(const struct command *command, int argc, char **argv);
int command_drain(const struct command *command, int argc, char **argv);

#endif
