/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host mode: connect(2), listen(2) and accept(2), which are the kernel's; what comes of them may be
 * lent. Not for own mode (flow.h).
 */
#ifndef MELIN_HOST_FLOW_H
#define MELIN_HOST_FLOW_H

#include <stdbool.h>
#include <sys/socket.h>

/* The calls themselves, with libc's results and errno. ENETDOWN: MELIN_REQUIRED=1. */
int host_connect(int descriptor, const struct sockaddr *remote, socklen_t length);
int host_listen(int descriptor, int backlog);
int host_accept(int descriptor, struct sockaddr *peer, socklen_t *length, int flags);

/*
 * Whether a listener is among the first descriptors of which a rule may take what it accepts, or
 * any listener if a rule takes what the program connects to, as a proxy does. errno may change.
 */
bool host_listens(void);

#endif
