/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin check: a line for each thing that a start takes, and the command that mends what is not
 * well. Not for how each is looked at (check.h).
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload/config/config.h"
#include "tools/melin/check.h"
#include "tools/melin/command_line.h"
#include "tools/melin/json_text.h"
#include "tools/melin/start_options.h"

enum { OPTION_INTERFACE, OPTION_FIX, OPTION_JSON, OWN_OPTIONS /* those of the start follow */ };

static struct command_option options[OWN_OPTIONS + START_OPTIONS_MAX] = {
	[OPTION_INTERFACE] = { "interface", 'i', "NAME",
			       "the interface; without it --dev's, or that of the default route" },
	[OPTION_FIX] = { "fix", 0, NULL,
			 "runs those of the commands that do nobody any harm (as root)" },
	[OPTION_JSON] = { "json", 0, NULL, "prints one JSON object" },
};

static const struct {
	const char *name;
	check_function *look;
} checks[] = {
	{ "files", check_files },
	{ "kernel", check_kernel },
	{ "rights", check_rights },
	{ "sandbox", check_sandbox },
	{ "bpf", check_bpf },
	{ "interface", check_interface },
	{ "tap", check_tap },
	{ "firewall", check_firewall },
	{ "hugepages", check_hugepages },
	{ "memlock", check_memory_lock },
	{ "af_xdp", check_driver },
	{ "leftovers", check_leftovers },
	{ "proof", check_proof },
	{ "program", check_program },
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

static const char *const words[] = {
	[CHECK_OK] = "ok", [CHECK_DEGRADED] = "degraded", [CHECK_MISSING] = "missing"
};

struct wish {
	struct start_options start;
	bool fix, json;
};

static void print_line(const char *name, const struct check_result *result)
{
	printf("%-9s %-10s %s\n", words[result->status], name, result->text);
	if (*result->mend)
		printf("%-9s %-10s %s\n", "", "", result->mend);
}

static void print_json(const char *name, const struct check_result *result, bool first)
{
	printf("%s\n  {\"name\": \"%s\", \"status\": \"%s\", \"text\": ", first ? "" : ",", name,
	       words[result->status]);
	json_text(stdout, result->text);
	if (*result->mend) {
		printf(", \"mend\": ");
		json_text(stdout, result->mend);
	}
	putchar('}');
}

/* Says on standard error what is done. Whether it was. */
static bool mend(const struct command *command, const struct check_result *result)
{
	if (!result->is_safe || result->status == CHECK_OK)
		return false;
	if (result->touches && check_login_uses(result->touches)) {
		command_failed(command, "your login comes by %s, so this is yours to do: %s",
			       result->touches, result->mend);
		return false;
	}
	fflush(stdout);
	fprintf(stderr, "melin check: doing: %s\n", result->mend);
	return check_run(result);
}

/* Mends one thing after another, until all is well or the same is found again. */
static void look_and_mend(const struct command *command, check_function *look,
			  struct check_about *about, bool fix, struct check_result *result)
{
	char before[sizeof(result->text)] = "";

	for (;;) {
		*result = (struct check_result){ .status = CHECK_OK };
		look(about, result);
		if (!fix || strcmp(before, result->text) == 0 || !mend(command, result))
			return;
		memcpy(before, result->text, sizeof(before));
	}
}

/* One thing after another, since the later ones go by what the earlier ones have found. */
static bool look_at_all(const struct command *command, struct check_about *about,
			const struct wish *wish)
{
	bool would_take = true, first = true;
	struct check_result result;

	for (size_t i = 0; i < CHECKS; i++) {
		if (checks[i].look == check_program && !about->program)
			continue;
		do {
			look_and_mend(command, checks[i].look, about, wish->fix, &result);
			would_take = would_take && result.status != CHECK_MISSING;
			if (wish->json)
				print_json(checks[i].name, &result, first);
			else
				print_line(checks[i].name, &result);
			first = false;
			about->behind = result.more;
		} while (result.more);
	}
	return would_take;
}

static void print_end(const struct check_about *about, bool would_take)
{
	printf("\n], \"interface\": ");
	json_text(stdout, about->interface);
	printf(", \"would_take\": %s}\n", would_take ? "true" : "false");
}

static void read_options(const struct command *command, int argc, char **argv, struct wish *wish,
			 struct check_about *about)
{
	int option;

	while ((option = command_option(command, options, argc, argv)) >= 0) {
		if (option == OPTION_INTERFACE) {
			if (!*optarg || strlen(optarg) >= sizeof(about->interface) ||
			    strpbrk(optarg, "/ \t\n"))
				command_usage(command, "\"%s\" is no name of an interface", optarg);
			memcpy(about->interface, optarg, strlen(optarg) + 1);
		} else if (option == OPTION_FIX) {
			wish->fix = true;
		} else if (option == OPTION_JSON) {
			wish->json = true;
		} else {
			start_options_take(&wish->start, (size_t)option - OWN_OPTIONS);
		}
	}
}

/* Which start is judged: the one that the variables ask for. */
static void read_start(const struct command *command, struct check_about *about)
{
	const struct config *config = config_get();
	const char *interface = config->interface;

	about->is_host = config->host;
	if (!about->is_host) {
		device_name_parse(config->stack.device, &about->device);
		if (*about->interface)
			command_usage(command, "--interface is for host mode; MELIN_DEV is %s",
				      config->stack.device);
		interface = check_takes_interface(about) ? about->device.name : NULL;
	}
	if (interface && !*about->interface)
		snprintf(about->interface, sizeof(about->interface), "%.*s", IF_NAMESIZE - 1,
			 interface);
}

int command_check(const struct command *command, int argc, char **argv)
{
	struct check_about about = { .program = NULL };
	struct wish wish = { .fix = false };
	bool would_take;

	start_options_add(options + OWN_OPTIONS);
	read_options(command, argc, argv, &wish, &about);
	if (argc - optind > 1)
		command_usage(command, "one program at a time");
	about.program = argv[optind];
	start_options_apply(command, &wish.start);
	read_start(command, &about);
	if (wish.json)
		printf("{\"checks\": [");
	would_take = look_at_all(command, &about, &wish);
	if (wish.json)
		print_end(&about, would_take);
	else
		printf("%s\n", would_take ? "A connection would be taken here."
					  : "No connection would be taken here.");
	return command_output_status(command, would_take ? 0 : 1);
}
