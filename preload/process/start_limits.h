/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits of the process (setrlimit(2)) that a start of the stack would use up. Not for the start,
 * nor for what is made of the answer: process_stack.h.
 */
#ifndef MELIN_START_LIMITS_H
#define MELIN_START_LIMITS_H

#include <stdbool.h>
#include <sys/resource.h>

/*
 * A text for the log, of a limit that leaves less than twice of what a start takes: addresses, data
 * or descriptors; NULL: they all leave enough. Makes a few system calls; errno is as before.
 */
const char *start_limits_too_low(void);

/* How much of RLIMIT_AS or RLIMIT_DATA a stack takes, in bytes; 0 of any other. */
rlim_t start_limits_taken(int resource);

/* Whether there are descriptors to spare: of few, melin takes none for what a program can lack. */
bool start_limits_spare_descriptors(void);

#endif
