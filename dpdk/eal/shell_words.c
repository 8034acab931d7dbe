/* SPDX-License-Identifier: BSD-3-Clause */
/* See shell_words.h. All words share one allocation: the text with its quotes taken out. */
#include "dpdk/eal/shell_words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/*
 * Copies one word from *from to *to without its quotes and ends it. Inside double quotes a
 * backslash is only special before the characters that POSIX names.
 */
static int take_word(const char **from, char **to)
{
	const char *in = *from;
	char *out = *to;
	char quote = 0;

	for (; *in && (quote || !is_blank(*in)); in++) {
		if (*in == quote) {
			quote = 0;
		} else if (!quote && (*in == '\'' || *in == '"')) {
			quote = *in;
		} else if (*in == '\\' && quote != '\'' &&
			   (!quote || (in[1] && strchr("$`\"\\\n", in[1])))) {
			if (!*++in)
				return -EINVAL;
			if (*in != '\n') /* a continued line */
				*out++ = *in;
		} else {
			*out++ = *in;
		}
	}
	if (quote)
		return -EINVAL;
	*out++ = '\0';
	*from = in;
	*to = out;
	return 0;
}

int shell_words_split(const char *text, struct shell_words *words)
{
	/* A word takes at least one character and a blank, so there are at most half as many. */
	size_t length = text ? strlen(text) : 0, slots = length / 2 + 2;
	char *out;

	words->count = 0;
	words->word = malloc(slots * sizeof(*words->word) + length + 1);
	if (!words->word)
		return -ENOMEM;
	out = (char *)(words->word + slots);
	while (text) {
		while (is_blank(*text))
			text++;
		if (!*text)
			break;
		words->word[words->count++] = out;
		if (take_word(&text, &out) < 0) {
			shell_words_free(words);
			return -EINVAL;
		}
	}
	words->word[words->count] = NULL;
	return 0;
}

void shell_words_free(struct shell_words *words)
{
	free(words->word);
	words->word = NULL;
	words->count = 0;
}
