/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the line that the kernel has about a process, proc_pid_stat(5). Not for what its fields
 * mean.
 */
#ifndef MELIN_PROCESS_STAT_H
#define MELIN_PROCESS_STAT_H

/* Longer than the line: 52 numbers of at most 20 digits each. */
#define PROCESS_STAT_SIZE 1280

/*
 * The line from field 3, the state, on: what is before it may have any character in it. It lies in
 * text. NULL: there is no such process, or it is not shown. Any thread; errno is as before, and no
 * call is a cancellation point.
 */
char *process_stat(long process, char text[PROCESS_STAT_SIZE]);

/* The number of the parent; 0: none, or it is not known. As process_stat(). */
long process_parent(long process);

#endif
