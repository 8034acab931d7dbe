/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of a text, for the parsers of rules and variables. A span is never terminated and never
 * written to: the text is the environment's. Not for what the pieces mean.
 */
#ifndef MELIN_SPAN_H
#define MELIN_SPAN_H

#include <stdbool.h>
#include <stddef.h>

struct span {
	const char *start;
	size_t length;
};

/* For printf's "%.*s": the length, but no more than helps to recognise a text in a message. */
int span_quoted(const struct span *span);

/* The text without blanks (spaces, tabs, line ends) at either end. */
struct span span_trim(struct span span);
struct span span_of(const char *text);

bool span_is(const struct span *span, const char *text);
const char *span_find(const struct span *span, char c);
/* How many pieces cut() gives: one more than there are separators; 0 for an empty span. */
size_t span_pieces(const struct span *span, char separator);

/* Takes what comes before separator, and the separator, off span; all of it if there is none. */
struct span span_cut(struct span *span, char separator);

/* Decimal digits alone, without a sign; false also for what is above maximum. */
bool span_number(const struct span *span, unsigned maximum, unsigned *number);

#endif
