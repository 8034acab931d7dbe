/* SPDX-License-Identifier: BSD-3-Clause */
/* See entry.h. */
#include "preload/config/entry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int entry_mistake(const struct entry *entry, const char *format, ...)
{
	struct reason mistake;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(mistake.text, sizeof(mistake.text), format, arguments);
	va_end(arguments);
	return reason_set(entry->reason, -EINVAL, "%s %zu, \"%.*s\": %s", entry->kind,
			  entry->number, span_quoted(&entry->text), entry->text.start,
			  mistake.text);
}
