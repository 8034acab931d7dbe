/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who else has a file: other processes that have a descriptor of it, as /proc tells. Not for
 * threads of this process, nor for descriptors that are on their way through a Unix socket.
 */
#ifndef MELIN_HOLDERS_H
#define MELIN_HOLDERS_H

#include <stdbool.h>
#include <sys/types.h>

struct holders_file {
	ino_t inode;	/* of a socket */
	bool inherited; /* the process had it when it began: those before it may have it still */
	bool held;	/* the answer */
};

/* Which file that is, not inherited. False: no socket. */
bool holders_file(int descriptor, struct holders_file *file);

/*
 * Fills in held for each: another process has it, or may have it and may not be looked at, since it
 * is under another user: a descendant of this process, or, if the file is inherited, any relative.
 * Reads /proc once for all: takes milliseconds. One thread at a time; without /proc all are held,
 * and inherited ones if /proc does not show the parent (proc(5), hidepid; pid_namespaces(7)).
 */
void holders_look(struct holders_file *files, unsigned count);

#endif
