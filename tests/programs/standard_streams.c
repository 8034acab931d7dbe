/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers each line of its standard input by one of the ways to write to a standard stream in turn,
 * with the line behind what the way is called; at the end it writes "the end" and leaves the rest
 * to exit(3). Then only what is wrong is written:
 *
 *     standard_streams               nothing else happens
 *     standard_streams reopen FILE   it has standard streams and one of fdopen(3)'s use FILE
 *     standard_streams close         it closes its standard streams and uses them all the same
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

static FILE *duplicate;
static bool wrong;

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

static void expect(bool right, const char *what)
{
	if (right)
		return;
	wrong = true;
	dprintf(STDERR_FILENO, "wrong: %s (%m)\n", what);
}

static void expect_in(const char *path, const char *expected)
{
	char text[100] = "";
	FILE *file = fopen(path, "r");

	expect(file && fread(text, 1, sizeof(text) - 1, file) && !strcmp(text, expected), expected);
	if (file)
		fclose(file);
}

static void reopen_output(const char *path)
{
	FILE *copy = stdout;

	expect(freopen(path, "w", stdout) == stdout, "freopen of stdout");
	expect(fileno(stdout) == STDOUT_FILENO, "its number");
	expect(printf("one\n") == 4 && fflush(stdout) == 0, "printf to the file");
	expect(write(STDOUT_FILENO, "two\n", 4) == 4, "write to the file");
	expect(fprintf(copy, "three\n") == 6 && fflush(copy) == 0, "a copy of the pointer");
	expect_in(path, "one\ntwo\nthree\n");
	expect(freopen(path, "w", copy), "freopen of the copy");
	expect(fclose(stdout) == 0, "fclose of the file");
}

static void reopen_others(const char *path)
{
	const int number = fileno(duplicate);
	char text[10] = "";

	expect(freopen64(path, "w", duplicate) == duplicate, "freopen64 of a stream of fdopen's");
	expect(fileno(duplicate) == number, "its number");
	expect(fprintf(duplicate, "four\n") == 5 && fflush(duplicate) == 0, "fprintf");
	expect(write(number, "five\n", 5) == 5, "write to its number");
	expect_in(path, "four\nfive\n");
	/* cppcheck-suppress leakReturnValNotUsed ; it is the stream that it was given */
	expect(freopen(path, "w", duplicate) == duplicate, "freopen once more");
	expect(fwide(duplicate, 1) > 0 && fwprintf(duplicate, L"six\n") == 4, "wide characters");
	expect(fclose(duplicate) == 0, "fclose");
	expect_in(path, "six\n");
	expect(freopen(path, "r", stdin) == stdin, "freopen of stdin");
	expect(fgets(text, sizeof(text), stdin) && !strcmp(text, "six\n"), "fgets of the file");
	/* No path leads to a socket, and so libc closes it. */
	expect(!freopen(NULL, "w", stderr), "freopen without a path");
	expect(fcntl(STDERR_FILENO, F_GETFD) < 0, "stderr's number");
}

static void close_all(void)
{
	expect(fclose(stdout) == 0, "fclose of stdout");
	expect(fcntl(STDOUT_FILENO, F_GETFD) < 0 && errno == EBADF, "its number");
	expect(printf("lost\n") < 0 && errno == EBADF, "printf after that");
	expect(fclose(stdin) == 0, "fclose of stdin");
	expect(getchar() == EOF && errno == EBADF, "getchar after that");
	expect(dup(fileno(duplicate)) == STDIN_FILENO, "the free number");
	expect(fclose(duplicate) == 0, "fclose of a stream of fdopen's");
}

int main(int count, char **arguments)
{
	static void (*const ways[])(const char *) = { by_printf, by_stderr, by_dprintf,
						      by_perror, by_write,  by_duplicate };
	char line[100];

	expect(!dlerror(), "dlerror");
	duplicate = fdopen(dup(STDIN_FILENO), "w");
	if (!duplicate)
		return 1;
	for (size_t i = 0; fgets(line, sizeof(line), stdin); i++) {
		line[strcspn(line, "\n")] = '\0';
		ways[i % (sizeof(ways) / sizeof(ways[0]))](line);
	}
	printf("the end\n");
	if (count == 3) {
		reopen_output(arguments[2]);
		reopen_others(arguments[2]);
	} else if (count == 2) {
		close_all();
	}
	return wrong;
}
