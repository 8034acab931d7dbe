/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For tests that compare lines of melin's log: takes off who says them. Not for other output.
 */
#ifndef MELIN_SIGNATURE_H
#define MELIN_SIGNATURE_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

/* Lines of that process, which runs this program, end with " [PROGRAM PID]": not afterwards. */
static void take_signatures(char *text, pid_t process)
{
	char signature[64];
	char *found;
	int length = snprintf(signature, sizeof(signature), " [%s %d]\n",
			      program_invocation_short_name, (int)process);

	while ((found = strstr(text, signature)))
		memmove(found, found + length - 1, strlen(found + length - 1) + 1);
}

#endif
