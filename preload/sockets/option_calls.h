/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * getsockopt(2) and setsockopt(2) on a socket that melin knows: who answers, the stack or the twin,
 * and which option comes too late. Not for what a flow takes along when it is decided
 * (twin_options.h).
 *
 * Both: 0 or -errno. Any thread may call them while it holds no lock. The errors are Linux's; that
 * of an option which only the kernel serves is in common/option_table.c. -ESTALE: a borrowed
 * connection is to be given back first, since the kernel is to do it.
 */
#ifndef MELIN_OPTION_CALLS_H
#define MELIN_OPTION_CALLS_H

#include <stdbool.h>
#include <sys/socket.h>

struct socket;

int option_call_get(struct socket *socket, int twin, int level, int name, void *value,
		    socklen_t *length);
int option_call_set(struct socket *socket, int twin, int level, int name, const void *value,
		    socklen_t length);

/*
 * Whether this option with this value makes a connection of host mode the kernel's from now on: one
 * that had it before was never borrowed (twin_options_kernel_only()). Any thread, without a lock.
 */
bool option_call_keeps(const struct socket *socket, int level, int name, const void *value,
		       socklen_t length);

#endif
