/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host mode: transfers on a connection that the kernel carries and that the stack may borrow. Each
 * is a system call of its own, made with a reference to the connection, so that who is about to
 * borrow it sees whether anybody is inside; and it is the moment at which it may be borrowed.
 * Not for waiting on several descriptors (poll.h, epoll.h).
 */
#ifndef MELIN_LENT_CALL_H
#define MELIN_LENT_CALL_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "preload/libc/interruptible.h"
#include "preload/sockets/borrow_policy.h"

struct socket;

/* What a call returns that is libc's: the descriptor is no such connection. No count, no errno. */
#define LENT_NOT (-SSIZE_MAX - 1)

/*
 * socket: what melin knows of the descriptor, a reference that this gives back; NULL: nothing.
 * LENT_NOT, or a count or -errno; -ESTALE: the connection has been borrowed, -ERESTART: a handler
 * is to run first; the interposed call begins anew with either (begins_anew()).
 */
ssize_t lent_call_known(struct socket *socket, int descriptor, enum borrow_direction direction,
			const struct system_call *call);

static inline ssize_t lent_call(struct socket *socket, int descriptor,
				enum borrow_direction direction, long number, long a, long b,
				long c, long d, long e, long f)
{
	const struct system_call call = { number, a, b, c, d, e, f };

	return __builtin_expect(socket != NULL, 0)
		       ? lent_call_known(socket, descriptor, direction, &call)
		       : LENT_NOT;
}

#endif
