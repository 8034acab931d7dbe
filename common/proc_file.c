/* SPDX-License-Identifier: BSD-3-Clause */
/* See proc_file.h. */
#include "common/proc_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/system_call.h"

size_t proc_read(const char *path, char *text, size_t size)
{
	const long file = kernel_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
	long length = 0;

	if (file >= 0)
		length = kernel_call(SYS_read, file, (long)text, (long)size - 1, 0);
	kernel_close((int)file);
	if (length < 0)
		length = 0;
	text[length] = '\0';
	return (size_t)length;
}

char *process_stat(long process, char text[PROCESS_STAT_SIZE])
{
	char path[64], *end;

	snprintf(path, sizeof(path), "/proc/%ld/stat", process);
	proc_read(path, text, PROCESS_STAT_SIZE);
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end + 2 : NULL;
}

long process_parent(long process)
{
	char text[PROCESS_STAT_SIZE];
	const char *fields = process_stat(process, text);

	return fields && *fields ? strtol(fields + 1, NULL, 10) : 0;
}
