/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Splits MELIN_EAL into words as a shell does: blanks, quotes, backslashes. Not a shell: no
 * variables, no patterns, no substitution; those characters stand for themselves.
 */
#ifndef MELIN_SHELL_WORDS_H
#define MELIN_SHELL_WORDS_H

#include <stddef.h>

struct shell_words {
	size_t count;
	char **word; /* count strings and a NULL */
};

/* 0, -EINVAL for an unfinished quote or a backslash at the end, -ENOMEM. text may be NULL. */
int shell_words_split(const char *text, struct shell_words *words);
void shell_words_free(struct shell_words *words);

#endif
