/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lines that an instance and lwIP's assertions add to melin's log. Not for where these go: that
 * is preload's.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "stack/instance_parts.h"

/* So many failed assertions of lwIP's are logged; all of them are counted. */
#define ASSERTIONS_LOGGED 10

void instance_log_line(struct stack *stack, enum log_level level, const char *format,
		       va_list arguments)
{
	char line[512];

	if (!stack->callbacks.log || level > stack->callbacks.log_level)
		return;
	vsnprintf(line, sizeof(line), format, arguments);
	stack->callbacks.log(level, line);
}

void instance_log(struct stack *stack, enum log_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	instance_log_line(stack, level, format, arguments);
	va_end(arguments);
}

void melin_lwip_assertion(const char *message, const char *file, int line)
{
	struct stack *stack = melin_instance;
	const char *name = strrchr(file, '/');

	if (!stack || stack->assertions++ >= ASSERTIONS_LOGGED)
		return;
	instance_log(stack, LOG_LEVEL_ERROR, "lwIP: %s (%s:%d)", message, name ? name + 1 : file,
		     line);
}
