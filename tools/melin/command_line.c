/* SPDX-License-Identifier: BSD-3-Clause */
/* See command_line.h. */
#include "tools/melin/command_line.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than any command has; melin run has one for each variable. */
#define OPTIONS_MAX 64

/* What getopt_long() returns for an option of the table: above all characters. */
#define FIRST_OPTION 256

static size_t count_options(const struct command_option *options)
{
	size_t count = 0;

	while (options && options[count].name)
		count++;
	return count < OPTIONS_MAX ? count : OPTIONS_MAX;
}

/* getopt_long()'s tables of ours. letters: for 2 characters an option, and 4 more. */
static void make_tables(const struct command_option *options, bool stops, struct option *long_ones,
			char *letters)
{
	const size_t count = count_options(options);

	/* ':' in front: a missing value is told from an unknown option, and nothing is printed. */
	letters += sprintf(letters, "%s:h", stops ? "+" : "");
	for (size_t i = 0; i < count; i++) {
		long_ones[i] = (struct option){ .name = options[i].name,
						.has_arg = options[i].value ? required_argument
									    : no_argument,
						.val = FIRST_OPTION + (int)i };
		if (options[i].letter)
			letters += sprintf(letters, "%c%s", options[i].letter,
					   options[i].value ? ":" : "");
	}
	long_ones[count] = (struct option){ .name = "help", .val = 'h' };
	long_ones[count + 1] = (struct option){ 0 };
}

static int option_of_letter(const struct command_option *options, int letter)
{
	for (size_t i = 0; i < count_options(options); i++)
		if (options[i].letter == letter)
			return (int)i;
	return -1;
}

/* The option as it was written, for a message: getopt() is past it by now. */
__attribute__((noreturn)) static void wrong_option(const struct command *command, int found,
						   char **argv)
{
	const char *written = argv[optind - 1];

	if (found == ':')
		command_usage(command, "option \"%s\" needs a value", written);
	if (optopt >= FIRST_OPTION)
		command_usage(command, "option \"%s\" takes no value", written);
	if (optopt)
		command_usage(command, "unknown option \"-%c\"", optopt);
	command_usage(command, "unknown option \"%s\"", written);
}

int command_option(const struct command *command, const struct command_option *options, int argc,
		   char **argv)
{
	struct option long_ones[OPTIONS_MAX + 2];
	char letters[2 * OPTIONS_MAX + 4];
	int found;

	make_tables(options, command->stops, long_ones, letters);
	opterr = 0;
	found = getopt_long(argc, argv, letters, long_ones, NULL);
	if (found == -1)
		return -1;
	if (found == 'h') {
		command_help(command, options);
		exit(command_output_status(command, 0));
	}
	if (found == ':' || found == '?')
		wrong_option(command, found, argv);
	return found >= FIRST_OPTION ? found - FIRST_OPTION : option_of_letter(options, found);
}

static void print_usage(FILE *stream, const struct command *command)
{
	fprintf(stream, "usage: melin %s %s\n", command->name, command->arguments);
}

static void print_line(const struct command *command, const char *format, va_list arguments)
{
	fprintf(stderr, "melin %s: ", command->name);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

void command_usage(const struct command *command, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line(command, format, arguments);
	va_end(arguments);
	print_usage(stderr, command);
	exit(EXIT_USAGE);
}

int command_failed(const struct command *command, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line(command, format, arguments);
	va_end(arguments);
	return 1;
}

static void print_option(const struct command_option *option)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%c%s--%s%s%s", option->letter ? "-" : " ",
		 option->letter ?: ' ', option->letter ? ", " : "  ", option->name,
		 option->value ? " " : "", option->value ?: "");
	/* An option that is longer than its column has its help on the next line. */
	if (strlen(text) > 26)
		printf("  %s\n  %-26s  %s\n", text, "", option->help);
	else
		printf("  %-26s  %s\n", text, option->help);
}

double command_seconds(const struct command *command, const char *option, const char *text,
		       double least, double most)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= least && seconds <= most))
		command_usage(command, "%s: \"%s\" is no number of seconds, %.10g to %.10g", option,
			      text, least, most);
	return seconds;
}

void command_help(const struct command *command, const struct command_option *options)
{
	const struct command_option help = { "help", 'h', NULL, "prints this" };

	print_usage(stdout, command);
	printf("%s\n\n", command->summary);
	for (size_t i = 0; i < count_options(options); i++)
		print_option(&options[i]);
	print_option(&help);
	printf("\nSee melin(1).\n");
}

int command_output_status(const struct command *command, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return command_failed(command, "standard output: %s", strerror(errno));
}
