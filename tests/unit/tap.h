/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TAP output for the unit tests: a line for each check and the plan at the end; and what several of
 * them count. Not for running anything.
 */
#ifndef MELIN_TAP_H
#define MELIN_TAP_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#ifdef MELIN_COVERAGE
#include <gcov.h>
/* Children end by it, and it leaves out what gcov has counted. */
#define _exit(status) (__gcov_dump(), _exit(status))
#endif

static unsigned tap_count, tap_failed;

/* One check with a name; returns whether it held. */
__attribute__((format(printf, 2, 3))) static bool tap_ok(bool held, const char *name, ...)
{
	char line[512];
	va_list arguments;

	va_start(arguments, name);
	vsnprintf(line, sizeof(line), name, arguments);
	va_end(arguments);
	for (char *c = line; *c; c++) {
		if ((unsigned char)*c < ' ')
			*c = '?';
	}
	printf("%sok %u %s\n", held ? "" : "not ", ++tap_count, line);
	fflush(stdout);
	tap_failed += !held;
	return held;
}

/* How many descriptors the process has, those of melin's (from 4096 on) among them. */
static inline int open_descriptors(void)
{
	int count = 0;

	for (int descriptor = 0; descriptor < 8192; descriptor++)
		count += fcntl(descriptor, F_GETFD) >= 0;
	return count;
}

/* The plan; main()'s return value. */
static int tap_done(void)
{
	printf("1..%u\n", tap_count);
	fflush(stdout);
	return tap_failed ? 1 : 0;
}

#endif
