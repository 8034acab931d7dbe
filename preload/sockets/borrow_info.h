/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What TCP_INFO tells of a connection in host mode: the stack or the kernel, whoever carries it,
 * counts from when it began to, so that what was counted before is added. Not for the stack's own
 * figures: stack/tcp/tcp_info.h.
 */
#ifndef MELIN_BORROW_INFO_H
#define MELIN_BORROW_INFO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct socket;

/* How many figures of TCP_INFO are counted from a connection's beginning on. */
#define BORROW_INFO_COUNTS 17

/* What all who have carried a connection before have counted and measured. Zeroed at first. */
struct borrow_info {
	bool kept; /* there is something to add, for good: the connection has been given back */
	uint64_t counts[BORROW_INFO_COUNTS];
	/* The last that were measured, for when nobody has measured anew; 0: none. */
	uint64_t delivery_rate;
	uint32_t rtt, rttvar, min_rtt;
};

/*
 * getsockopt(2) of a borrowed connection: what the device has is looked at before, since a FIN that
 * has come is to be seen in the state. 0, or -ESTALE: it is the kernel's by now. value has room for
 * *length bytes. No lock is held; the caller has a reference.
 */
int borrow_info_get(struct socket *socket, int twin, void *value, socklen_t *length);

/*
 * The kernel has answered for the connection with that descriptor, if it is one, and filled in so
 * many bytes: what others have counted is added to them.
 */
void borrow_info_complete(int descriptor, void *value, socklen_t length);

/*
 * Called before a connection is given back, in CHANGING: keeps what the stack and the twin have
 * counted, since both forget it.
 */
void borrow_info_keep(struct socket *socket);

/*
 * Called when a connection is given back, after the former: so many bytes that were counted and are
 * unread go into the twin, which counts them as if they had just come.
 */
void borrow_info_put_back(struct socket *socket, size_t unread);

#endif
