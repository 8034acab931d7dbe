/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's side of a borrowed connection: reads the state of an established socket, keeps that
 * socket silent while somebody else carries the connection, and puts the connection back. By
 * TCP_REPAIR (net/ipv4/tcp.c; Documentation has no page for it, CRIU is its other user), which
 * needs CAP_NET_ADMIN in the network namespace's user namespace at each call: the process itself
 * or one that it passes the descriptor to. Not for frames, nor for when to borrow.
 *
 * All calls may be made from any thread; two calls on one socket must not overlap. None is a
 * cancellation point, and none touches errno: they make system calls by instruction.
 */
#ifndef MELIN_REPAIR_H
#define MELIN_REPAIR_H

#include "common/connection_state.h"

/*
 * Why the kernel keeps a connection: what a borrower would have to do as well and cannot. The
 * negative errno value of repair_take() says the same to those who do not count.
 */
enum repair_refusal {
	REPAIR_FIT,
	REPAIR_RIGHTS, /* -EPERM: no CAP_NET_ADMIN */
	REPAIR_STATE,  /* -ENOTCONN: not (or no longer) established */
	REPAIR_BUSY,   /* -EAGAIN: data is under way either way; later it may be fit */
	REPAIR_ULP,    /* -EBUSY: TLS or another protocol in the kernel, MPTCP or ECN */
	REPAIR_FILTER, /* -EEXIST: the program's own socket filter */
	REPAIR_BUFFER, /* -EMSGSIZE: a receive buffer below 8 KiB */
	REPAIR_FAILED, /* any other errno value */
};

enum repair_refusal repair_refusal_of(int error);

/*
 * Silences the established socket and reads its state. The caller must see the connection's frames
 * already, so that none is missed between the two. 0; or a negative errno value, and the socket is
 * as it was. On success *state's data is the caller's (connection_state_clear()).
 *
 * silencer: an eBPF program for socket filters that drops all; it saves the kernel from compiling
 * one for each socket. -1: there is none.
 */
int repair_take(int descriptor, int silencer, struct connection_state *state);

/*
 * Makes the socket that repair_take() silenced the connection again, in the state given, and lets
 * it speak. The caller keeps the connection's frames from the kernel until this returns: a segment
 * that came while there is no socket would be answered by a RST. The socket sends the last
 * send_unsent bytes and nothing else: what was received and is owed an acknowledgement should have
 * got it. The next call tells left_error, if that is EFAULT, EINVAL or EMSGSIZE: others are not
 * known to come. Its buffers are enlarged if the data asks for it, and an interface, an IPv4 route
 * or an address that has gone does not matter. 0, or a negative errno value: the socket is closed
 * then (as by connect(2) with AF_UNSPEC), the program that has it gets ECONNABORTED, and the
 * connection is lost to the kernel; -EACCES: for want of rights. But for -EPERM: it is silent
 * still, and who has the rights may call this again.
 */
int repair_give(int descriptor, const struct connection_state *state);

/*
 * Whether an urgent byte is among what was received and not read. A mark cannot be put back by
 * repair: the socket has only what is before it after repair_give(), the byte has to come in by a
 * segment (injection_urgent()), and repair_give_rest() adds what is behind it. If no segment has
 * come it adds the byte, too, without a mark. 0, or a negative errno value but
 * -EPERM: the connection is lost as by repair_give().
 */
bool repair_has_mark(const struct connection_state *state);
int repair_give_rest(int descriptor, const struct connection_state *state);

/*
 * Reads what a RST for the peer of a socket in repair mode has to say, whose send queue is empty.
 * Takes no rights. 0 or a negative errno value.
 */
int repair_read_end(int descriptor, struct connection_state *state);

/*
 * Closes the socket's connection by connect(2) with AF_UNSPEC, which takes no rights: in repair
 * mode, in which the socket stays, without a word to the peer, else by a RST. 0 or a negative errno
 * value.
 */
int repair_dissolve(int descriptor);

/*
 * Whether somebody has closed the silenced socket meanwhile, as "ss -K" does (tcp_abort() of
 * Linux). Then it should end when it is the connection again: the peer gets a RST, the socket is
 * closed, and the program that has it gets ECONNABORTED.
 */
bool repair_is_destroyed(int descriptor);
void repair_destroy(int descriptor);

/* Lets a silenced socket speak again where nothing has changed: repair_take() was for nothing. */
int repair_cancel(int descriptor, const struct connection_state *state);

#endif
