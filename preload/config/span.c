/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of a text, for the parsers of rules and variables. Not for what the pieces mean.
 */
#include "preload/config/span.h"

#include <string.h>

#define QUOTED_MAX 80

int span_quoted(const struct span *span)
{
	return (int)(span->length < QUOTED_MAX ? span->length : QUOTED_MAX);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct span span_trim(struct span span)
{
	while (span.length && is_blank(span.start[0])) {
		span.start++;
		span.length--;
	}
	while (span.length && is_blank(span.start[span.length - 1]))
		span.length--;
	return span;
}

struct span span_of(const char *text)
{
	return (struct span){ text, strlen(text) };
}

bool span_is(const struct span *span, const char *text)
{
	return span->length == strlen(text) && !memcmp(span->start, text, span->length);
}

const char *span_find(const struct span *span, char c)
{
	return memchr(span->start, c, span->length);
}

size_t span_pieces(const struct span *span, char separator)
{
	size_t count = span->length ? 1 : 0;

	for (size_t i = 0; i < span->length; i++)
		count += span->start[i] == separator;
	return count;
}

struct span span_cut(struct span *span, char separator)
{
	const char *at = span_find(span, separator);
	struct span front = *span;

	if (!at) {
		*span = (struct span){ span->start + span->length, 0 };
		return front;
	}
	front.length = (size_t)(at - span->start);
	span->start = at + 1;
	span->length -= front.length + 1;
	return front;
}

bool span_number(const struct span *span, unsigned maximum, unsigned *number)
{
	unsigned long value = 0;

	if (!span->length)
		return false;
	for (size_t i = 0; i < span->length; i++) {
		if (span->start[i] < '0' || span->start[i] > '9')
			return false;
		value = value * 10 + (unsigned long)(span->start[i] - '0');
		if (value > maximum)
			return false;
	}
	*number = (unsigned)value;
	return true;
}
