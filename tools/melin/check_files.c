/* SPDX-License-Identifier: BSD-3-Clause */
/* What check.h promises of files: melin's own, and the program that is to be started. */
#include <string.h>

#include "tools/melin/check.h"
#include "tools/melin/installed.h"
#include "tools/melin/run_program.h"

static void say_missing(struct check_result *result, const char *path)
{
	check_say(result, CHECK_MISSING,
		  "there is no %s; in the folder that melin has been built in, BUILD", path);
	check_mend(result, "sudo make -C BUILD install");
}

void check_files(struct check_about *about, struct check_result *result)
{
	char library[PATH_MAX], path[PATH_MAX];

	(void)about;
	if (!installed_library(library))
		say_missing(result, library);
	else if (!installed_beside_stack(".libs/melin-stack.so", path) &&
		 !installed_beside_stack("melin-stack.so", path))
		say_missing(result, path);
	else
		check_say(result, CHECK_OK, "%s", library);
}

void check_program(struct check_about *about, struct check_result *result)
{
	struct reason reason;

	if (run_program_look(about->program, &reason))
		check_say(result, CHECK_MISSING, "%s", reason.text);
	else
		check_say(result, CHECK_OK, "%s can be started under melin", about->program);
}
