/* SPDX-License-Identifier: BSD-3-Clause */
/* See run_user.h. */
#include "tools/melin/run_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/melin/command_line.h"

#define RUN_FAILED 125

int run_user_become(const struct command *command, const char *name)
{
	const struct passwd *user = getpwnam(name);

	if (!user)
		command_usage(command, "there is no user \"%s\"", name);
	if (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
	    setuid(user->pw_uid) < 0) {
		command_failed(command, "cannot become %s: %s%s", name, strerror(errno),
			       errno == EPERM ? "; --user is for root" : "");
		return RUN_FAILED;
	}
	if (setenv("HOME", user->pw_dir, 1) < 0 || setenv("USER", user->pw_name, 1) < 0 ||
	    setenv("LOGNAME", user->pw_name, 1) < 0 || setenv("SHELL", user->pw_shell, 1) < 0)
		abort(); /* for want of a few bytes of memory */
	return 0;
}
