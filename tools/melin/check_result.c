/* SPDX-License-Identifier: BSD-3-Clause */
/* What is found out is written by these (check.h). */
#include <stdarg.h>
#include <stdio.h>

#include "tools/melin/check.h"

void check_say(struct check_result *result, enum check_status status, const char *format, ...)
{
	va_list arguments;

	result->status = status;
	va_start(arguments, format);
	vsnprintf(result->text, sizeof(result->text), format, arguments);
	va_end(arguments);
}

void check_mend(struct check_result *result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(result->mend, sizeof(result->mend), format, arguments);
	va_end(arguments);
}
