/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stdio streams on the stack's connections. Inside libc, stdio reads and writes without calling any
 * interposed function, and so would reach the twin: such a stream is given functions of melin's
 * instead (fopencookie(3)). Not for what goes over them: that is the interposed read() and write().
 */
#ifndef MELIN_STREAM_H
#define MELIN_STREAM_H

#include <stdbool.h>
#include <stdio.h>

/* As fdopen(3) with a mode that it would accept. NULL: no memory. */
FILE *stream_open(int descriptor, const char *mode);

/*
 * A connection of the stack's has become one of the descriptors 0 to 2 (by a shell's >&3, say):
 * from now on the standard stream on that descriptor reads or writes it.
 */
void stream_standard(int descriptor);

/*
 * The program begins with a connection as that descriptor, 0 to 2, which the stack may carry later:
 * the same, now, before the program copies the pointer. C++'s standard library has done so already
 * if it is there, and then nothing is done. Before main().
 */
void stream_standard_inherited(int descriptor);

/* Whether the standard stream on that descriptor, 0 to 2, reads or writes by interposed calls. */
bool stream_stands_in(int descriptor);

/*
 * For freopen(3) of that stream: what libc's own has to be called with in its place. Its descriptor
 * is not melin's any more, as after close(2), since libc is going to close or replace it.
 */
FILE *stream_before_reopen(FILE *file);

/*
 * Writes what lies in buffers, as libc does at the end of exit(3), but while there is a stack.
 */
void stream_flush_all(void);

void stream_before_fork(void);
void stream_after_fork(void);

#endif
