/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a socket in host mode, from the kernel's accept(2) or connect(2) to its close: what
 * may be borrowed. Not for borrowing: borrow.h.
 */
#ifndef MELIN_BORROW_LEND_H
#define MELIN_BORROW_LEND_H

#include <sys/socket.h>

#include "preload/descriptors/descriptors.h"
#include "preload/process/process_stack.h"

struct socket;

/* What a socket's object does in host mode; what is not named there is as in own mode. */
struct object_operations borrow_operations(void);

/*
 * The kernel has made the connection, which has that number; a rule takes it: it may be lent. That
 * alone starts nothing.
 */
void borrow_lend(struct socket *socket, int descriptor, enum flow_count taken);

/*
 * The kernel has accepted a selected connection with a peer of that family, or has begun one by
 * connect(2): it may be lent. The third: connect(2) to AF_UNSPEC has made it a socket that may
 * connect anew.
 */
void borrow_accepted(int descriptor, sa_family_t family);
void borrow_connected(struct socket *socket, int descriptor);
void borrow_disconnected(struct socket *socket);

#endif
