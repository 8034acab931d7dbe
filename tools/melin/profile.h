/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Profiles of melin run: files of lines NAME = VALUE, which set variables that the environment does
 * not have. Not for what the variables mean (preload/config).
 */
#ifndef MELIN_PROFILE_H
#define MELIN_PROFILE_H

#include "tools/melin/commands.h"

/*
 * Sets the variables of the profile of that name, the user's own (~/.config/melin/NAME.conf,
 * $XDG_CONFIG_HOME instead of ~/.config) or the host's (/etc/melin/NAME.conf). Those that are set
 * stay, to nothing or to something. A mistake ends the process by command_usage().
 */
void profile_apply(const struct command *command, const char *name);

/* The file that has set the variable ("MELIN_LOG"); NULL: none has. */
const char *profile_of(const char *variable);

#endif
