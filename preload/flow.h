/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deciding whose a flow is: connect(2), bind(2) and listen(2) against the rules and what the
 * stack can serve; listeners that wait for their first use. Not for what follows.
 *
 * The first three return true if the call is done, with *result 0 or -errno; false if it is
 * libc's to do.
 */
#ifndef MELIN_FLOW_H
#define MELIN_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "instance.h"

struct socket;

bool flow_connect(int descriptor, const struct sockaddr *remote, socklen_t length, int *result);
bool flow_listen(int descriptor, int backlog, int *result);
/* Only an address of the stack's own, which the kernel does not have, is done here. */
bool flow_bind(int descriptor, const struct sockaddr *local, socklen_t length, int *result);

/*
 * A selected listener starts its stack when it is first waited on or accepted from, and not in
 * listen(): servers listen in one process and fork the one that serves. The first use of one starts
 * all but those that are shared with another process and were not used here since.
 */
void flow_first_use_all(void);
/* Whether flow_first_use() has something to do. */
bool flow_is_unused(const struct socket *socket);
/* The program waits on this one or accepts from it. */
void flow_first_use(struct socket *socket);
/*
 * The program is about to block on something else while its listeners have not been used, and it
 * has not forked since listen(): nobody else will use them, and peers may be coming. Not while
 * the stack starts: the caller may be a thread of DPDK's, or the very one that starts it.
 */
extern _Atomic bool flow_unused_listeners;
static inline void flow_before_blocking(void)
{
	if (__builtin_expect(atomic_load_explicit(&flow_unused_listeners, memory_order_relaxed),
			     0) &&
	    !instance_is_starting())
		flow_first_use_all();
}
/* The same now, before the process loses its right to start one. */
void flow_start_pending(void);
/* The instance has started: the listeners of this process that were waiting start too. */
void flow_start_listeners(void);
void flow_forget_pending(struct socket *socket);

/* A descriptor goes to another process through a Unix socket. */
void flow_passed(int descriptor);

/* Around fork(): the list of pending listeners is whole, and all listeners are shared. */
void flow_before_fork(void);
void flow_after_fork(void);
void flow_forked(void); /* in the child, after the former */

#endif
