/* SPDX-License-Identifier: BSD-3-Clause */
/* See ending.h. */
#include "dpdk/interface/ending.h"

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

static void look_at(long process, void *any)
{
	char text[PROCESS_STAT_SIZE], *fields = process_stat(process, text);

	if (fields && is_ending(fields))
		*(bool *)any = true;
}

bool process_ending_any(void)
{
	bool any = false;

	proc_each_number("/proc", false, look_at, &any);
	return any;
}
