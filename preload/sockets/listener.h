/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A selected listener on its way to the stack, or back to the kernel. Not for when it goes there
 * (pending.h), nor for which listeners are selected (flow.h).
 */
#ifndef MELIN_LISTENER_H
#define MELIN_LISTENER_H

#include "preload/process/process_stack.h"

struct socket;

/*
 * A selected listener is given to the running stack. Any thread, holding no lock of melin's but
 * listeners_lock (pending.h). 0 or -errno, as getsockname(2) of the twin (EBADF) and the stack say
 * (ENOMEM, EADDRINUSE, EADDRNOTAVAIL): the listener's state is then what it was.
 */
int listener_start(struct socket *socket, const struct instance *instance);

/* A listener that the stack was to serve and cannot. why is counted. Locks as above. */
void listener_give_up(struct socket *socket, enum flow_count why);

#endif
