/* SPDX-License-Identifier: BSD-3-Clause */
/* The arguments PID... of commands that look at processes. Not for the processes themselves. */
#ifndef MELIN_PROCESS_LIST_H
#define MELIN_PROCESS_LIST_H

#include <stddef.h>
#include <sys/types.h>

#include "tools/melin/commands.h"

/*
 * The numbers that are named up to the NULL behind the last argument; free() the list. NULL: none
 * is. What is no number ends the process by command_usage().
 */
pid_t *process_list(const struct command *command, char **arguments, size_t *count);

#endif
