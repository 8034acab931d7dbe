/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What borrowing a connection takes beforehand: that a rule selects it, that nothing about it is
 * the kernel's alone, that there are a stack and a lender, and that the lender watches it. Not for
 * borrowing (borrow.h), nor for when that pays (borrow_policy.h).
 *
 * Threads: any, holding no lock of melin's, with a reference to the socket. errno may change.
 */
#ifndef MELIN_BORROW_WATCH_H
#define MELIN_BORROW_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "broker/lender.h"
#include "preload/config/rules.h"

struct socket;

/* Whether the first rule that names this end of a connection takes it. */
bool borrow_is_selected(enum rule_verb verb, const struct sockaddr *name, socklen_t length);

/* Its frames are noticed from now on. False: it is the kernel's. */
bool borrow_watch(struct socket *socket, int descriptor);

/* The same for one that is CHANGING, of which all else is known. The stack runs. */
enum refusal borrow_watch_again(struct socket *socket, int descriptor);

/*
 * Whether the stack and the lender are there, and the lender's broker. Else they will be, or there
 * is a reason why not, and the policy of the socket is told.
 */
bool borrow_is_ready(struct socket *socket);

/* How often the paths of connections have changed, as the stack has heard. It runs. */
uint32_t borrow_path_changes(void);

/* In CHANGING, which ends here. False: it is the kernel's for good. */
bool borrow_settle_refusal(struct socket *socket, enum refusal refusal);

/* Set while the lender's broker is another one and the stack does not know it yet. */
extern _Atomic bool borrow_is_renewing;

#endif
