/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decides whose a flow is: connect(2), bind(2) and listen(2) are compared with the rules and with
 * what the stack can serve. Not for what follows, nor for listeners before their first use
 * (pending.h).
 *
 * The first three functions return true if the call is done, with 0 or -errno in *result, and false
 * if libc is to do it.
 */
#ifndef MELIN_FLOW_H
#define MELIN_FLOW_H

#include <stdbool.h>
#include <sys/socket.h>

/* *result may be -ERESTART as well: the call has to begin anew (socket_leave()). */
bool flow_connect(int descriptor, const struct sockaddr *remote, socklen_t length, int *result);
bool flow_listen(int descriptor, int backlog, int *result);
/* True for addresses of the stack's own, which the kernel does not have, and for some errors. */
bool flow_bind(int descriptor, const struct sockaddr *local, socklen_t length, int *result);

/*
 * Whether the program has a socket that may become the stack's: one that is bound to an address
 * where a rule takes listeners, or one that is not bound while some rule takes connections.
 */
bool flow_any_undecided(void);

#endif
