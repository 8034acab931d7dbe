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
	ino_t inode; /* of a socket */
	bool held;   /* the answer */
};

/* Which file that is. False: no socket. */
bool holders_file(int descriptor, struct holders_file *file);

/*
 * Fills in held for each: another process has it, or one has been seen that may have it and may not
 * be looked at: a relative of this process under another user. Reads /proc once for all: takes
 * milliseconds. One thread at a time; without /proc all are held.
 */
void holders_look(struct holders_file *files, unsigned count);

#endif
