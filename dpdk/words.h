/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Splits MELIN_EAL into words as a shell does: blanks, quotes, backslashes. Not a shell: no
 * variables, no patterns, no substitution; those characters stand for themselves.
 */
#ifndef MELIN_WORDS_H
#define MELIN_WORDS_H

#include <stddef.h>

struct words {
	size_t count;
	char **word; /* count strings and a NULL */
};

/* 0, -EINVAL for an unfinished quote or a backslash at the end, -ENOMEM. text may be NULL. */
int words_split(const char *text, struct words *words);
void words_free(struct words *words);

#endif
