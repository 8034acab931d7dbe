/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command melin(1): finds the subcommand and calls it. Not for what these do: each has a file.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/melin/command_line.h"
#include "tools/melin/commands.h"

static int command_to_help(const struct command *command, int argc, char **argv);

static const struct command commands[] = {
	{ "run", "[OPTION...] [--] PROGRAM [ARGUMENT...]",
	  "starts a program with its TCP connections taken by melin", command_run, true },
	{ "check", "[OPTION...] [PROGRAM]",
	  "says what this machine lacks for melin, and what mends it", command_check, false },
	{ "stat", "[OPTION...] [PID...]",
	  "shows connections, who carries each and why, and counters", command_stat, false },
	{ "top", "[OPTION...] [PID...]", "shows connections in the terminal, the busiest first",
	  command_top, false },
	{ "drain", "[OPTION...] PID... | --all",
	  "gives all connections back to the kernel, until --resume", command_drain, false },
	{ "pcap", "[OPTION...] PID -w FILE [FILTER]",
	  "writes the frames of a stack to a file, where tcpdump does not see them", command_pcap,
	  false },
	{ "help", "[COMMAND]", "says what there is, or how a command is used", command_to_help,
	  false },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void print_commands(FILE *stream)
{
	fprintf(stream, "usage: melin COMMAND [OPTION...] [ARGUMENT...]\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(stream, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fprintf(stream, "\nmelin COMMAND --help says how it is used; see also melin(1).\n");
}

static int unknown(const char *name)
{
	if (name)
		fprintf(stderr, "melin: unknown %s \"%s\"\n", *name == '-' ? "option" : "command",
			name);
	else
		fprintf(stderr, "melin: no command is named\n");
	fprintf(stderr, "usage: melin COMMAND [OPTION...] [ARGUMENT...]; \"melin help\" lists the "
			"commands\n");
	return EXIT_USAGE;
}

static int command_to_help(const struct command *command, int argc, char **argv)
{
	char *asks[] = { NULL, (char[]){ "--help" }, NULL };
	const struct command *about;

	while (command_option(command, NULL, argc, argv) >= 0)
		;
	if (optind == argc) {
		print_commands(stdout);
		return command_output_status(command, 0);
	}
	if (argc - optind > 1)
		command_usage(command, "one command at a time");
	about = find(argv[optind]);
	if (!about)
		return unknown(argv[optind]);
	optind = 0; /* getopt_long() begins anew */
	asks[0] = argv[argc - 1];
	return about->run(about, 2, asks);
}

int main(int argc, char **argv)
{
	static const struct command itself = { .name = "help" };
	const struct command *command;

	if (argc < 2)
		return unknown(NULL);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("melin %s\n", PACKAGE_VERSION);
		return command_output_status(&itself, 0);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_commands(stdout);
		return command_output_status(&itself, 0);
	}
	command = find(argv[1]);
	if (!command)
		return unknown(argv[1]);
	return command->run(command, argc - 1, argv + 1);
}
