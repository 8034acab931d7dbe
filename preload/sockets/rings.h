/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings of io_uring(7) that the program has set up past libc, as liburing does. What a ring does
 * with a connection nobody sees here: while the stack has it the kernel's socket is silent, and who
 * waits by the ring would wait for ever. So in a program with rings only those connections are
 * borrowed that it has been seen to wait for in another way (poll(2), epoll(7) and their
 * relatives). Databases have rings for their files. Not for rings by syscall(2), which are refused
 * (calls_syscall.c).
 */
#ifndef MELIN_RINGS_H
#define MELIN_RINGS_H

#include <stdbool.h>

/*
 * Looks for rings among this process's descriptors, by /proc, until one was found. Takes some 50 us
 * for a thread, and a microsecond or two for each descriptor. Any thread; errno is as before.
 */
void rings_look(void);

/* Whether there is one, or was at a look. */
bool rings_any(void);

#endif
