/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * melin run --user: this process becomes another user before it becomes the program. Not for the
 * program itself (run_program.h).
 */
#ifndef MELIN_RUN_USER_H
#define MELIN_RUN_USER_H

#include "tools/melin/commands.h"

struct passwd;

/*
 * Becomes the user for good: groups, user, HOME, USER, LOGNAME and SHELL; no capabilities are left.
 * What lending connections takes is kept by a broker, which ends with the program (MELIN_BROKER).
 * 0, or an exit status; what went wrong has been said.
 */
int run_user_become(const struct command *command, const struct passwd *user);

#endif
