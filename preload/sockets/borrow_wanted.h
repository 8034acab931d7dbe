/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections that are given back because of what becomes of them: the stack asks for it, they are
 * idle, or they carry what the kernel carries better. Not for how it is done: borrow.h.
 */
#ifndef MELIN_BORROW_WANTED_H
#define MELIN_BORROW_WANTED_H

#include <stddef.h>
#include <stdint.h>

#include "preload/sockets/borrow_policy.h"

struct socket;

/* From the stack, in place of socket_event(): STACK_EVENT_RETURN, too. */
void borrow_event(void *user, uint32_t events);

/*
 * Gives back what the stack wants to be given back. By the thread beside, or by one of the
 * program's that is about to wait: whoever comes first.
 */
void borrow_give_wanted(void);
/* In a forked child: what the parent's stack wanted is nothing here. */
void borrow_forget_wanted(void);

/* Gives back those that have been idle for long. By the thread beside. */
void borrow_look_for_idle(void);

/* The stack has carried so many bytes of a borrowed one: it may be given back for that. */
void borrow_moved(struct socket *socket, enum borrow_direction direction, size_t bytes);

#endif
