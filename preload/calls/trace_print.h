/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How arguments of calls are printed in a line of the trace. Not for which calls are traced
 * (trace.h). Data that is sent and received is left out.
 */
#ifndef MELIN_TRACE_PRINT_H
#define MELIN_TRACE_PRINT_H

#include <stddef.h>

/* splice() has six. */
#define TRACE_ARGUMENTS 6

/* A line that grows to the right; what has no room is cut. */
struct trace_text {
	size_t length;
	char line[1024]; /* as a line of the log: below PIPE_BUF, and it lies on the stack */
};

__attribute__((format(printf, 2, 3))) void trace_append(struct trace_text *text, const char *format,
							...);

/*
 * The arguments with commas between them, as they are after the call. A letter for each:
 *
 *   d  a descriptor; what it is before the call says who serves it
 *   D  the same, but this call decides it: what it is afterwards
 *   s  the same as d; a call on another file is not traced
 *   n  an int              z  a size              x  flags, hexadecimal    X  the same, a long
 *   m  MSG_ flags          k  a socket's type     f  its family            H  SHUT_
 *   o  an option's level   O  an option           c  F_ of fcntl(2)        C  EPOLL_CTL_
 *   a  an address, its length is the next one     A  the same, written by the call
 *   L  a pointer to a length
 *   i  a pointer to an int, if the next argument, its size, says so; I  the same, its size is
 *      pointed to
 *   P  struct pollfd, their number is the next one
 *   S  an fd_set, the first argument is its size
 *   E  struct epoll_event  W  the same, as many as the call returns
 *   T  struct timespec     V  struct timeval
 *   -  left out
 *
 * The memory that is pointed to is the program's: what cannot be read is printed as an address.
 */
void trace_arguments(struct trace_text *text, const char *letters, const long *arguments,
		     long result);

/* " = RESULT", or " = -1 NAME (text)" with errno. */
void trace_result(struct trace_text *text, long result, int error);

#endif
