/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers each line of its standard input by one of the ways to write to a standard stream in turn,
 * with the line behind what the way is called; at the end it writes "the end" and leaves the rest
 * to exit(3).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static FILE *duplicate;

static void by_printf(const char *line)
{
	printf("printf: %s\n", line);
	fflush(stdout);
}

static void by_stderr(const char *line)
{
	fprintf(stderr, "stderr: %s\n", line);
}

static void by_dprintf(const char *line)
{
	dprintf(STDERR_FILENO, "dprintf: %s\n", line);
}

static void by_perror(const char *line)
{
	errno = ENOENT;
	perror(line);
}

static void by_write(const char *line)
{
	char text[200];
	int length = snprintf(text, sizeof(text), "write: %s\n", line);

	if (write(STDOUT_FILENO, text, (size_t)length) != length)
		_exit(1);
}

static void by_duplicate(const char *line)
{
	fprintf(duplicate, "duplicate: %s\n", line);
	fflush(duplicate);
}

int main(void)
{
	static void (*const ways[])(const char *) = { by_printf, by_stderr, by_dprintf,
						      by_perror, by_write,  by_duplicate };
	char line[100];

	duplicate = fdopen(dup(STDIN_FILENO), "w");
	if (!duplicate)
		return 1;
	for (size_t i = 0; fgets(line, sizeof(line), stdin); i++) {
		line[strcspn(line, "\n")] = '\0';
		ways[i % (sizeof(ways) / sizeof(ways[0]))](line);
	}
	printf("the end\n");
	return 0;
}
