/* SPDX-License-Identifier: BSD-3-Clause */
/* See other_process.h. */
#include "preload/process/other_process.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proc_file.h"
#include "common/status_reader.h"

/* The number in the line of the file that begins with this; 0: there is none. */
static pid_t number_in(const char *path, const char *begins)
{
	char text[1024];
	const char *line;

	proc_read(path, text, sizeof(text));
	line = strstr(text, begins);
	return line ? (pid_t)strtol(line + strlen(begins), NULL, 10) : 0;
}

/*
 * As pidfd_open(2) says: a line of its entry in /proc tells the number, of a thread with
 * PIDFD_THREAD. -1: it has ended; 0: it is in a PID namespace that this process does not see.
 */
pid_t other_process_of(int descriptor)
{
	char path[64];
	pid_t thread, process;

	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", descriptor);
	thread = number_in(path, "\nPid:\t");
	if (thread <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/status", thread);
	process = number_in(path, "\nTgid:\t");
	return process > 0 ? process : thread;
}

/* A process without a thread that answers finds the mark before it borrows. */
static void ask(pid_t process, int descriptor)
{
	struct status_reader reader;

	if (status_open(process, &reader) < 0)
		return;
	if (descriptor < STATUS_DESCRIPTORS)
		atomic_store(&reader.page->descriptors[descriptor].passed, 1);
	status_ask(&reader, STATUS_ASK_PASS, (uint32_t)descriptor, STATUS_PATIENCE_MS);
	status_done(&reader);
	status_close(&reader);
}

void other_process_keeps(pid_t process, int descriptor)
{
	const int errno_before = errno;
	int state;

	if (process <= 0 || descriptor < 0)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	ask(process, descriptor);
	pthread_setcancelstate(state, NULL);
	errno = errno_before;
}
