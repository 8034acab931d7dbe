/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The states of a selected listener, and all that is derived from them. Not for when it changes
 * (pending.h: its first use; flow.h: listen(2)), nor for which listeners are selected (flow.h).
 *
 *     state      in which                            what accept(2) and waiting find
 *     PENDING    it has not been used here yet       its first use, which changes the state
 *     AWAITING   another process has the device      the kernel half, if it is dual
 *     LISTENER   the stack listens (there is a       the stack's half; the kernel half too, if it
 *                handle), or cannot (there is none)  is dual; with MELIN_REQUIRED ENETDOWN, once
 *     KERNEL     nobody does anything for it         what the kernel finds
 *
 *     from                by                  to
 *     DECIDING            listen(2)           PENDING: listener_wait()
 *     DECIDING            listen(2), and the  LISTENER, or as before: listener_start()
 *                         stack runs
 *     PENDING, AWAITING   the stack starts    LISTENER: listener_start()
 *     PENDING             the device is       AWAITING: listener_await()
 *                         another process's
 *     PENDING, AWAITING   no stack will do    KERNEL; LISTENER if a process with a stack may have
 *                                             it too, or MELIN_REQUIRED: listener_give_up()
 *
 * A fork() changes no state, but in the child the handle of a LISTENER is its parent's and is not
 * used (socket_instance()). It makes a dual listener shared in both processes, until each uses it:
 * nobody can tell which one will serve.
 */
#ifndef MELIN_LISTENER_H
#define MELIN_LISTENER_H

#include "preload/process/process_stack.h"
#include "preload/sockets/socket_object.h"

/* Whether it waits for its stack to start. Takes no lock, as all of these questions. */
static inline bool listener_is_waiting(const struct socket *socket)
{
	const enum socket_state state = atomic_load(&socket->state);

	return state == SOCKET_PENDING || state == SOCKET_AWAITING;
}

/* Whether its next use in this process is the first one, or would be if the device were free. */
static inline bool listener_is_unused(const struct socket *socket)
{
	return atomic_load_explicit(&socket->listener.shared, memory_order_relaxed) ||
	       listener_is_waiting(socket);
}

/* Whether its twin is the kernel half, which melin asks without blocking. */
static inline bool listener_has_kernel_half(const struct socket *socket)
{
	const enum socket_state state = atomic_load(&socket->state);

	return socket->listener.dual && (state == SOCKET_AWAITING || state == SOCKET_LISTENER);
}

/* The same of a twin that melin keeps from blocking: nobody else may rely on how it was set. */
static inline bool listener_has_silent_twin(const struct socket *socket)
{
	return listener_has_kernel_half(socket) && atomic_load(&socket->reach) != TWIN_PASSED;
}

/* Whether another process may be the one that is to accept from it. */
static inline bool listener_is_others_too(const struct socket *socket)
{
	return atomic_load(&socket->listener.shared) || atomic_load(&socket->reach) == TWIN_PASSED;
}

/* It listens in the kernel, is in the list of pending ones, and waits for its first use. */
void listener_wait(struct socket *socket);

/* The device is another process's: meanwhile its kernel half serves. Locks: pending_lock. */
void listener_await(struct socket *socket);

/*
 * It is given to the running stack. Any thread, holding no lock of melin's but listeners_lock
 * (pending.h). 0 or -errno, as getsockname(2) of the twin (EBADF) and the stack say (ENOMEM,
 * EADDRINUSE, EADDRNOTAVAIL): the listener's state is then what it was.
 */
int listener_start(struct socket *socket, const struct instance *instance);

/* The stack was to serve it and cannot. why is counted. Locks as above. */
void listener_give_up(struct socket *socket, enum flow_count why);

/* The program uses it in this process from now on. True if its stack has not started. */
bool listener_use(struct socket *socket);

/* Before a fork(); and in the child, of one that is waiting. Takes wait_lock. */
void listener_before_fork(struct socket *socket);
void listener_forked(struct socket *socket);

/* A descriptor, of a listener or not, goes to another process through a Unix socket. */
void listener_passed(int descriptor);

#endif
