/* SPDX-License-Identifier: BSD-3-Clause */
/* dpdk/eal/shell_words.c: MELIN_EAL is split as a shell would split it. */
#include <errno.h>
#include <string.h>

#include "dpdk/eal/shell_words.h"
#include "tap.h"

/* expected: the words joined by '|' */
static void splits(const char *text, const char *expected)
{
	struct shell_words words;
	char joined[256] = "";
	int error = shell_words_split(text, &words);
	size_t i;

	for (i = 0; error == 0 && i < words.count; i++) {
		strcat(joined, i ? "|" : "");
		strcat(joined, words.word[i]);
	}
	tap_ok(error == 0 && strcmp(joined, expected) == 0 && words.word[words.count] == NULL,
	       "\"%s\" gives %s (%s)", text ? text : "(null)", expected, joined);
	shell_words_free(&words);
}

static void refuses(const char *text)
{
	struct shell_words words;

	tap_ok(shell_words_split(text, &words) == -EINVAL && words.word == NULL,
	       "\"%s\" is refused", text);
}

int main(void)
{
	splits(NULL, "");
	splits("", "");
	splits(" \t\n ", "");
	splits("a", "a");
	splits("-l 0 --vdev=net_null0", "-l|0|--vdev=net_null0");
	splits("  a   b  ", "a|b");
	splits("'a b' c", "a b|c");
	splits("\"a b\" c", "a b|c");
	splits("a'b c'd", "ab cd");
	splits("a\\ b c", "a b|c");
	splits("'a\\b'", "a\\b");
	splits("\"a\\b\"", "a\\b");
	splits("\"a\\\"b\\\\\"", "a\"b\\");
	splits("'' b", "|b");
	splits("\"\"", "");
	splits("$HOME `x` * ?", "$HOME|`x`|*|?");
	splits("a\\\nb", "ab");
	refuses("'a");
	refuses("\"a");
	refuses("a \"b\\");
	refuses("a\\");
	refuses("a 'b\" c");
	return tap_done();
}
