/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads small files of proc(5), among them the line that the kernel has about a process,
 * proc_pid_stat(5). Not for what its fields mean.
 *
 * Any thread; errno is as before, and no call is a cancellation point.
 */
#ifndef MELIN_PROC_FILE_H
#define MELIN_PROC_FILE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reads a file's beginning as text, as much of it as there is room for. Returns its length; 0: the
 * file is empty, is not there or may not be read, and the text is empty.
 */
size_t proc_read(const char *path, char *text, size_t size);

/* Longer than the line: 52 numbers of at most 20 digits each. */
#define PROCESS_STAT_SIZE 1280

/*
 * The line from field 3, the state, on: what is before it may have any character in it. It lies in
 * text. NULL: there is no such process, or it is not shown.
 */
char *process_stat(long process, char text[PROCESS_STAT_SIZE]);

/* The number of the parent; 0: none, or it is not known. */
long process_parent(long process);

/*
 * Calls visit for each entry of a folder whose name is a number: processes, threads, descriptors.
 * Returns 0, or the negative errno value that opening the folder gave. The folder's own descriptor
 * is among those that are visited in /proc/self/fd. apart: the thread has a table of descriptors of
 * its own, and the folder's is in nobody's way.
 */
int proc_each_number(const char *path, bool apart, void (*visit)(long number, void *argument),
		     void *argument);

#endif
