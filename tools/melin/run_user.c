/* SPDX-License-Identifier: BSD-3-Clause */
/* See run_user.h. */
#include "tools/melin/run_user.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/broker_start.h"
#include "tools/melin/broker_use.h"
#include "tools/melin/command_line.h"
#include "tools/melin/installed.h"

#define RUN_FAILED 125

/*
 * The host's broker lends to the user, and a door that is inherited would be asked before it. Or a
 * broker is started, which keeps the rights, and the program has its door.
 */
static int keep_rights(const struct command *command, const struct passwd *user)
{
	char path[PATH_MAX], number[16];
	int door;

	if (broker_serves(user)) {
		unsetenv("MELIN_BROKER");
		return 0;
	}
	if (!installed_beside_stack("melin-broker", path)) {
		command_failed(command, "there is no %s: is melin installed whole?", path);
		return RUN_FAILED;
	}
	door = broker_start(path);
	if (door < 0 || fcntl(door, F_SETFD, 0) < 0) {
		command_failed(command, "%s: %s", path, strerror(door < 0 ? -door : errno));
		return RUN_FAILED;
	}
	snprintf(number, sizeof(number), "%d", door);
	setenv("MELIN_BROKER", number, 1);
	return 0;
}

int run_user_become(const struct command *command, const struct passwd *user)
{
	int error;

	error = geteuid() == 0 && user->pw_uid != 0 ? keep_rights(command, user) : 0;
	if (error)
		return error;
	if (!broker_user_become(user)) {
		command_failed(command, "cannot become %s: %s%s", user->pw_name, strerror(errno),
			       errno == EPERM ? "; --user is for root" : "");
		return RUN_FAILED;
	}
	if (setenv("HOME", user->pw_dir, 1) < 0 || setenv("USER", user->pw_name, 1) < 0 ||
	    setenv("LOGNAME", user->pw_name, 1) < 0 || setenv("SHELL", user->pw_shell, 1) < 0)
		abort(); /* for want of a few bytes of memory */
	return 0;
}
