/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an instance has to say, for melin's log. Not for how it is written: preload does that.
 */
#ifndef MELIN_INSTANCE_LOG_H
#define MELIN_INSTANCE_LOG_H

#include <stdarg.h>

#include "stack/stack.h"

struct stack;

/* One line for melin's log, if its level is wanted. With or without the lock. */
void instance_log(struct stack *stack, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void instance_log_line(struct stack *stack, enum log_level level, const char *format,
		       va_list arguments) __attribute__((format(printf, 3, 0)));

#endif
