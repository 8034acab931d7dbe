/* SPDX-License-Identifier: BSD-3-Clause */
/* See process_stat.h. */
#include "common/process_stat.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/system_call.h"

char *process_stat(long process, char text[PROCESS_STAT_SIZE])
{
	char path[64], *end;
	long file, length;

	snprintf(path, sizeof(path), "/proc/%ld/stat", process);
	file = kernel_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0);
	if (file < 0)
		return NULL;
	length = kernel_call(SYS_read, file, (long)text, PROCESS_STAT_SIZE - 1, 0);
	kernel_close((int)file);
	text[length > 0 ? length : 0] = '\0';
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end + 2 : NULL;
}

long process_parent(long process)
{
	char text[PROCESS_STAT_SIZE];
	const char *fields = process_stat(process, text);

	return fields && *fields ? strtol(fields + 1, NULL, 10) : 0;
}
