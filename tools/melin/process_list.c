/* SPDX-License-Identifier: BSD-3-Clause */
/* See process_list.h. */
#include "tools/melin/process_list.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "tools/melin/command_line.h"

static pid_t read_number(const struct command *command, const char *text)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end || number <= 0 || number > INT_MAX)
		command_usage(command, "\"%s\" is no process number", text);
	return (pid_t)number;
}

pid_t *process_list(const struct command *command, char **arguments, size_t *count)
{
	pid_t *list = NULL;

	*count = 0;
	for (; *arguments; arguments++) {
		pid_t *more = realloc(list, (*count + 1) * sizeof(*list));

		if (!more)
			exit(command_failed(command, "no memory"));
		list = more;
		list[(*count)++] = read_number(command, *arguments);
	}
	return list;
}
