/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another process with melin in it, of which the program takes a descriptor by pidfd_getfd(2): it
 * is asked to give back what its stack carries there. Not for this process's own descriptors, nor
 * for what is done when somebody asks (sockets/status_rows.h).
 */
#ifndef MELIN_OTHER_PROCESS_H
#define MELIN_OTHER_PROCESS_H

#include <sys/types.h>

/* The process that a descriptor of pidfd_open(2) stands for. 0: none that is seen from here. */
pid_t other_process_of(int descriptor);

/*
 * Asks the process to give the connection of that number back to the kernel for good. It is asked
 * by its status page, which takes no more rights than pidfd_getfd(2). Nothing is done if there is
 * no such page. Waits for the answer, and for some seconds in vain if the process does not run. Any
 * thread that holds no lock; makes dozens of system calls and allocates memory. errno is as before,
 * and no call is a cancellation point.
 */
void other_process_keeps(pid_t process, int descriptor);

#endif
