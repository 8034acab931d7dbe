/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a program takes from its start to its end: launch SECONDS PROGRAM [ARGUMENTS]. One JSON
 * line with percentiles in microseconds. This program itself must not run under melin; it is
 * given the variables with --env NAME=VALUE in front of SECONDS and passes them on.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common.h"

int main(int count, char **words)
{
	char *environment[32] = { (char[]){
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" } };
	struct samples samples = { 0 };
	uint64_t start, end;
	size_t variables = 1;
	int first = 1, status = 0;

	while (first + 1 < count && strcmp(words[first], "--env") == 0 && variables < 31) {
		environment[variables++] = words[first + 1];
		first += 2;
	}
	if (count - first < 2) {
		fprintf(stderr,
			"usage: launch [--env NAME=VALUE]... SECONDS PROGRAM [ARGUMENTS]\n");
		return 2;
	}
	start = now_ns();
	end = start + (uint64_t)(atof(words[first]) * 1e9);
	do {
		uint64_t before = now_ns();
		pid_t pid;

		if (posix_spawnp(&pid, words[first + 1], NULL, NULL, words + first + 1,
				 environment) ||
		    waitpid(pid, &status, 0) != pid || status)
			fail("%s: status %d", words[first + 1], status);
		sample(&samples, now_ns() - before);
	} while (now_ns() < end);
	print_samples(&samples, now_ns() - start);
	return 0;
}
