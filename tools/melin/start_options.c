/* SPDX-License-Identifier: BSD-3-Clause */
/* See start_options.h. */
#include "tools/melin/start_options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload/config/config.h"
#include "preload/config/span.h"
#include "tools/melin/profile.h"

/*
 * All that the program listens on and connects to. Loopback is in no rule that does not name it;
 * and who tries melin by the wrong rule shall still be able to log in.
 */
#define DEFAULT_FLOWS "!any:*:22,any:*:*"

enum {
	START_LISTEN,
	START_CONNECT,
	START_PROFILE,
	START_VARIABLES, /* those of the variables follow */
};

static const struct command_option first_rows[START_VARIABLES] = {
	[START_LISTEN] = { "listen", 'l', "PORTS",
			   "connections to these ports of the program: 80,443,8000-8999" },
	[START_CONNECT] = { "connect", 'c', "NET:PORTS",
			    "connections to these hosts: 198.18.0.0/24:6379, [fd00::/64]:*" },
	[START_PROFILE] = { "profile", 'p', "NAME",
			    "variables from a file: latency, throughput, quiet, or your own" },
};

/* ---- the table of options ---- */

#define VARIABLES_MAX (START_OPTIONS_MAX - START_VARIABLES - 1)
#define NAME_BYTES    24

void start_options_add(struct command_option *rows)
{
	static char names[VARIABLES_MAX][NAME_BYTES];
	struct config_variable variable;
	size_t i;

	memcpy(rows, first_rows, sizeof(first_rows));
	rows += START_VARIABLES;
	for (i = 0; i < VARIABLES_MAX && config_variable(i, &variable); i++) {
		for (size_t j = 0; j < NAME_BYTES - 1 && variable.name[j]; j++)
			names[i][j] = variable.name[j] == '_'
					      ? '-'
					      : (char)tolower((unsigned char)variable.name[j]);
		rows[i] = (struct command_option){ names[i], 0, variable.value, variable.help };
	}
	rows[i] = (struct command_option){ 0 };
}

const char *start_options_variable(size_t index)
{
	static char name[NAME_BYTES + 6];
	struct config_variable variable;

	if (!config_variable(index, &variable))
		return NULL;
	snprintf(name, sizeof(name), "MELIN_%s", variable.name);
	return name;
}

/* ---- rules ---- */

/* Adds ",TEXT" or "TEXT" to the rules of the options. */
__attribute__((format(printf, 2, 3))) static void add_rule(char **flows, const char *format, ...)
{
	char *rule, *all;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&rule, format, arguments) < 0 ||
	    asprintf(&all, "%s%s%s", *flows ? *flows : "", *flows ? "," : "", rule) < 0)
		abort(); /* for want of a few bytes of memory */
	va_end(arguments);
	free(rule);
	free(*flows);
	*flows = all;
}

/*
 * What is listed behind --listen and --connect, with commas between: ADDRESS:PORTS, PORTS alone for
 * any address, ADDRESS alone for all ports. The rules' parser judges it.
 */
static void add_rules(char **flows, const char *verb, const char *list)
{
	struct span rest = span_of(list), one;

	do {
		int length;

		one = span_cut(&rest, ',');
		one = span_trim(one);
		length = (int)one.length;
		if (one.length && one.start[one.length - 1] == ']')
			add_rule(flows, "%s:%.*s:*", verb, length, one.start);
		else if (span_find(&one, ':') || span_find(&one, '['))
			add_rule(flows, "%s:%.*s", verb, length, one.start);
		else if (span_find(&one, '.') || span_find(&one, '/'))
			add_rule(flows, "%s:%.*s:*", verb, length, one.start);
		else
			add_rule(flows, "%s:*:%.*s", verb, length, one.start);
	} while (rest.length);
}

/* ---- the environment ---- */

void start_options_set(const char *name, const char *value)
{
	if (setenv(name, value, 1) < 0)
		abort(); /* for want of a few bytes of memory */
}

void start_options_take(struct start_options *start, size_t row)
{
	const char *name;

	if (row == START_LISTEN) {
		add_rules(&start->flows, "listen", optarg);
	} else if (row == START_CONNECT) {
		add_rules(&start->flows, "connect", optarg);
	} else if (row == START_PROFILE) {
		start->profile = optarg;
	} else {
		name = start_options_variable(row - START_VARIABLES);
		if (strcmp(name, "MELIN_FLOWS") == 0)
			add_rule(&start->flows, "%s", optarg);
		else
			start_options_set(name, optarg);
	}
}

/* The name of the variable that a line about a mistake begins with. */
static const char *origin_of_mistake(const struct reason *reason)
{
	char name[NAME_BYTES + 6];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(reason->text, ":"), reason->text);
	return profile_of(name);
}

static void check_variables(const struct command *command)
{
	struct reason reason;
	const char *profile;

	if (config_check(&reason))
		return;
	profile = origin_of_mistake(&reason);
	if (profile)
		command_usage(command, "%s: %s", profile, reason.text);
	command_usage(command, "%s", reason.text);
}

void start_options_apply(const struct command *command, const struct start_options *start)
{
	const char *flows;

	if (start->profile)
		profile_apply(command, start->profile);
	if (start->flows)
		start_options_set("MELIN_FLOWS", start->flows);
	flows = getenv("MELIN_FLOWS");
	if (!flows || !*flows)
		start_options_set("MELIN_FLOWS", DEFAULT_FLOWS);
	check_variables(command);
}
