/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin run: sets the variables and LD_PRELOAD and becomes the program. Not for the options that
 * the variables come from (start_options.h).
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/device_name.h"
#include "preload/config/config.h"
#include "tools/melin/command_line.h"
#include "tools/melin/installed.h"
#include "tools/melin/run_program.h"
#include "tools/melin/run_user.h"
#include "tools/melin/start_options.h"

/* As of env(1) and nice(1): melin itself could not do its part. */
#define RUN_FAILED 125

enum { OPTION_USER, OPTION_DRY_RUN, OWN_OPTIONS /* those of the start follow */ };

static struct command_option options[OWN_OPTIONS + START_OPTIONS_MAX] = {
	[OPTION_USER] = { "user", 'u', "NAME", "runs the program as this user (for root)" },
	[OPTION_DRY_RUN] = { "dry-run", 'n', NULL,
			     "prints the variables instead of starting the program" },
};

/* ---- the environment ---- */

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
	start_options_set("LD_PRELOAD", all);
	free(all);
	return 0;
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
	const char *name;

	print_variable("LD_PRELOAD");
	for (size_t i = 0; (name = start_options_variable(i)); i++)
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
	struct start_options start;
	const char *user;
	bool dry;
};

static void read_options(const struct command *command, int argc, char **argv, struct wish *wish)
{
	int option;

	while ((option = command_option(command, options, argc, argv)) >= 0) {
		if (option == OPTION_USER)
			wish->user = optarg;
		else if (option == OPTION_DRY_RUN)
			wish->dry = true;
		else
			start_options_take(&wish->start, (size_t)option - OWN_OPTIONS);
	}
}

/* A device of own mode is opened by the program itself, with rights that nobody lends. */
static void refuse_own_mode(const struct command *command, const struct passwd *user)
{
	const struct config *config = config_get();
	struct device_name device;

	if (config->host || user->pw_uid == 0 || !device_name_parse(config->stack.device, &device))
		return;
	if (device.kind == DEVICE_INTERFACE || device.kind == DEVICE_PACKET)
		command_usage(command,
			      "--user is for host mode: own mode on %s takes root's rights, which "
			      "are lent to nobody; leave --user out, or --addr",
			      config->stack.device);
}

int command_run(const struct command *command, int argc, char **argv)
{
	struct wish wish = { 0 };
	const struct passwd *user;
	struct reason reason;
	int error;

	start_options_add(options + OWN_OPTIONS);
	read_options(command, argc, argv, &wish);
	argv += optind;
	if (!*argv && !wish.dry)
		command_usage(command, "no program is named");
	start_options_apply(command, &wish.start);
	error = set_preload(command);
	user = wish.user ? getpwnam(wish.user) : NULL;
	if (wish.user && !user)
		command_usage(command, "there is no user \"%s\"", wish.user);
	if (user)
		refuse_own_mode(command, user);
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
