/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What all files of host mode need to change connections: one thread at a time changes one, and all
 * can be gone through. Not for borrowing and giving back: borrow.h.
 */
#ifndef MELIN_BORROW_CHANGE_H
#define MELIN_BORROW_CHANGE_H

#include "broker/lender.h"
#include "preload/process/process_stack.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/socket_object.h"

struct socket;

/*
 * Of a connection that is or may be borrowed: it is CHANGING and the caller's alone from now on,
 * until borrow_change_end(). Else nothing happens. Returns its state before. Waits while another
 * thread changes it.
 */
enum socket_state borrow_change_begin(struct socket *socket);
/* The same for one that is lendable only: of one that is borrowed nothing happens either. */
enum socket_state borrow_change_begin_lendable(struct socket *socket);
void borrow_change_end(struct socket *socket, enum socket_state state);

/* In CHANGING: its frames are not noticed any more, if they were. */
void borrow_forget_loan(struct socket *socket);
/* A loan has ended by itself, and is not watched any more: the lender may have nothing to do. */
void borrow_unwatched(void);

/*
 * As CHANGING's end: it is the kernel's for good, and costs its calls one look-up from now on, and
 * no more. Makes no system call of its own for one that is not watched if there is no text, which
 * is logged. One that has been given back is known further on, for what TCP_INFO has to add.
 */
void borrow_keep(struct socket *socket, enum flow_count why, const char *text);

/* Logs what becomes of it; why: "" if there is nothing to say. */
void borrow_log(const struct socket *socket, const char *what, const char *why);

/* Calls work() for each socket that melin knows, with a reference to it. */
void borrow_for_each(void (*work)(struct socket *socket, enum borrow_return why),
		     enum borrow_return why);

/* How one that stays the kernel's for that reason is counted. */
enum flow_count borrow_refusal_count(enum refusal refusal);

#endif
