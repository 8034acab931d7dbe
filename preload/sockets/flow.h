/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deciding whose a flow is: connect(2), bind(2) and listen(2) against the rules and what the
 * stack can serve. Not for what follows, nor for listeners before their first use (pending.h).
 *
 * The first three return true if the call is done, with *result 0 or -errno; false if it is
 * libc's to do.
 */
#ifndef MELIN_FLOW_H
#define MELIN_FLOW_H

#include <stdbool.h>
#include <sys/socket.h>

/* *result is -ERESTART, too: the call is to begin anew (socket_leave()). */
bool flow_connect(int descriptor, const struct sockaddr *remote, socklen_t length, int *result);
bool flow_listen(int descriptor, int backlog, int *result);
/* Only an address of the stack's own, which the kernel does not have, is done here. */
bool flow_bind(int descriptor, const struct sockaddr *local, socklen_t length, int *result);

/*
 * Whether there is a socket that rules may give to the stack when it listens or connects: one that
 * is bound to where a rule takes listeners, or not bound while a rule takes connections.
 */
bool flow_any_undecided(void);

#endif
