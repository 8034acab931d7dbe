/* SPDX-License-Identifier: BSD-3-Clause */
/* See ending.h. */
#include "dpdk/interface/ending.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "common/proc_file.h"

#define PF_EXITING 0x4 /* include/linux/sched.h: the end has begun */

/* What proc_pid_stat(5) has behind the name, the state of which is field 3. */
#define FIELD(number)	  ((number)-3)
#define FIELD_FLAGS	  FIELD(9)
#define FIELD_THREADS	  FIELD(20)
#define FIELD_EXIT_STATUS FIELD(52)

/*
 * Linux tells the status with which a process will end as soon as it has been killed, before it has
 * noticed, to who may look into it. A stopped process has one, too, and so has a main thread that
 * has ended alone and let others go on, which a signal never does.
 */
static bool is_ending(char *fields)
{
	unsigned long values[FIELD_EXIT_STATUS + 1] = { 0 };
	const char state = fields[0];
	char *save = NULL, *word = strtok_r(fields, " ", &save);

	for (unsigned i = 0; word && i <= FIELD_EXIT_STATUS; i++) {
		values[i] = strtoul(word, NULL, 10);
		word = strtok_r(NULL, " ", &save);
	}
	if (state == 'T' || state == 't' || state == 'X')
		return false;
	if (state == 'Z')
		return values[FIELD_EXIT_STATUS] & 0x7f && values[FIELD_THREADS] > 1;
	return values[FIELD_EXIT_STATUS] || values[FIELD_FLAGS] & PF_EXITING;
}

static bool process_is_ending(long process)
{
	char text[PROCESS_STAT_SIZE], *fields = process_stat(process, text);

	return fields && is_ending(fields);
}

bool process_ending_any(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool ending = false;

	while (proc && !ending && (entry = readdir(proc)))
		ending = isdigit((unsigned char)entry->d_name[0]) &&
			 process_is_ending(strtol(entry->d_name, NULL, 10));
	if (proc)
		closedir(proc);
	return ending;
}
