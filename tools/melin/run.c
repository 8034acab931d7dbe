/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin run: sets the variables and LD_PRELOAD and becomes the program. An option overrides the
 * environment, and that a profile. Not for what the variables mean: the library's own parser
 * (preload/config) reads them here, too, so that a mistake is told before anything is started.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/config/config.h"
#include "preload/config/span.h"
#include "tools/melin/command_line.h"
#include "tools/melin/installed.h"
#include "tools/melin/profile.h"
#include "tools/melin/run_program.h"
#include "tools/melin/run_user.h"

/* As of env(1) and nice(1): melin itself could not do its part. */
#define RUN_FAILED 125

/*
 * All that the program listens on and connects to. Loopback is in no rule that does not name it;
 * and who tries melin by the wrong rule shall still be able to log in.
 */
#define DEFAULT_FLOWS "!any:*:22,any:*:*"

enum {
	OPTION_LISTEN,
	OPTION_CONNECT,
	OPTION_PROFILE,
	OPTION_USER,
	OPTION_DRY_RUN,
	OWN_OPTIONS, /* those of the variables follow */
};

static const struct command_option own_options[OWN_OPTIONS] = {
	[OPTION_LISTEN] = { "listen", 'l', "PORTS",
			    "connections to these ports of the program: 80,443,8000-8999" },
	[OPTION_CONNECT] = { "connect", 'c', "NET:PORTS",
			     "connections to these hosts: 198.18.0.0/24:6379, [fd00::/64]:*" },
	[OPTION_PROFILE] = { "profile", 'p', "NAME",
			     "variables from a file: latency, throughput, quiet, or your own" },
	[OPTION_USER] = { "user", 'u', "NAME", "runs the program as this user (for root)" },
	[OPTION_DRY_RUN] = { "dry-run", 'n', NULL,
			     "prints the variables instead of starting the program" },
};

/* ---- the table of options: our own and one for each variable ---- */

#define VARIABLES_MAX 40
#define NAME_BYTES    24

static struct command_option options[OWN_OPTIONS + VARIABLES_MAX + 1];

static void make_options(void)
{
	static char names[VARIABLES_MAX][NAME_BYTES];
	struct config_variable variable;

	memcpy(options, own_options, sizeof(own_options));
	for (size_t i = 0; i < VARIABLES_MAX && config_variable(i, &variable); i++) {
		for (size_t j = 0; j < NAME_BYTES - 1 && variable.name[j]; j++)
			names[i][j] = variable.name[j] == '_'
					      ? '-'
					      : (char)tolower((unsigned char)variable.name[j]);
		options[OWN_OPTIONS + i] =
			(struct command_option){ names[i], 0, variable.value, variable.help };
	}
}

static const char *variable_name(size_t index, char name[NAME_BYTES + 6])
{
	struct config_variable variable;

	if (!config_variable(index, &variable))
		return NULL;
	snprintf(name, NAME_BYTES + 6, "MELIN_%s", variable.name);
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

static void set(const char *name, const char *value)
{
	if (setenv(name, value, 1) < 0)
		abort(); /* for want of a few bytes of memory */
}

/* Behind what is there already, unless that is this library. */
static int set_preload(const struct command *command)
{
	const char *before = getenv("LD_PRELOAD");
	char path[PATH_MAX], *all;

	if (!installed_library(path)) {
		command_failed(command, "there is no %s: is melin installed whole?", path);
		return RUN_FAILED;
	}
	if (strpbrk(path, " :")) {
		command_failed(command,
			       "%s: a path with a blank or colon cannot be preloaded (ld.so(8))",
			       path);
		return RUN_FAILED;
	}
	if (before && strstr(before, "libmelin.so"))
		return 0;
	if (asprintf(&all, "%s%s%s", before ? before : "", before && *before ? ":" : "", path) < 0)
		abort();
	set("LD_PRELOAD", all);
	free(all);
	return 0;
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

/* ---- what is done ---- */

/* As a shell reads it back. */
static void print_variable(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		return;
	printf("%s='", name);
	for (; *value; value++) {
		if (*value == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*value);
	}
	puts("'");
}

static int print_environment(const struct command *command)
{
	char name[NAME_BYTES + 6];

	print_variable("LD_PRELOAD");
	for (size_t i = 0; variable_name(i, name); i++)
		print_variable(name);
	return command_output_status(command, 0);
}

static int start(const struct command *command, char **argv)
{
	execvp(argv[0], argv);
	command_failed(command, "%s: %s", argv[0], strerror(errno));
	return errno == ENOENT ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
}

struct wish {
	const char *profile, *user;
	char *flows;
	bool dry;
};

static void read_options(const struct command *command, int argc, char **argv, struct wish *wish)
{
	char name[NAME_BYTES + 6];
	int option;

	while ((option = command_option(command, options, argc, argv)) >= 0) {
		if (option >= OWN_OPTIONS)
			variable_name((size_t)option - OWN_OPTIONS, name);
		if (option == OPTION_LISTEN)
			add_rules(&wish->flows, "listen", optarg);
		else if (option == OPTION_CONNECT)
			add_rules(&wish->flows, "connect", optarg);
		else if (option == OPTION_PROFILE)
			wish->profile = optarg;
		else if (option == OPTION_USER)
			wish->user = optarg;
		else if (option == OPTION_DRY_RUN)
			wish->dry = true;
		else if (strcmp(name, "MELIN_FLOWS") == 0)
			add_rule(&wish->flows, "%s", optarg);
		else
			set(name, optarg);
	}
}

int command_run(const struct command *command, int argc, char **argv)
{
	struct wish wish = { 0 };
	const struct passwd *user;
	struct reason reason;
	const char *flows;
	int error;

	make_options();
	read_options(command, argc, argv, &wish);
	argv += optind;
	if (!*argv && !wish.dry)
		command_usage(command, "no program is named");
	if (wish.profile)
		profile_apply(command, wish.profile);
	if (wish.flows)
		set("MELIN_FLOWS", wish.flows);
	flows = getenv("MELIN_FLOWS");
	if (!flows || !*flows)
		set("MELIN_FLOWS", DEFAULT_FLOWS);
	check_variables(command);
	error = set_preload(command);
	user = wish.user ? getpwnam(wish.user) : NULL;
	if (wish.user && !user)
		command_usage(command, "there is no user \"%s\"", wish.user);
	if (!error && user && !wish.dry)
		error = run_user_become(command, user);
	if (error)
		return error;
	error = *argv ? run_program_look(*argv, &reason) : 0;
	if (error) {
		command_failed(command, "%s", reason.text);
		return error;
	}
	return wish.dry ? print_environment(command) : start(command, argv);
}
