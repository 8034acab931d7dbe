/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When nothing is borrowed, nor prepared for that: while somebody has stopped it, and behind a
 * filter for system calls; and when the lender rests, which must not fall into that. Not for giving
 * back what is borrowed already (borrow.h).
 *
 * Threads: any, holding no lock of melin's. errno may change.
 */
#ifndef MELIN_BORROW_STOP_H
#define MELIN_BORROW_STOP_H

#include <stdbool.h>

/*
 * Nothing is borrowed or watched from now on until the second; they nest. What is borrowed stays
 * so. Whoever is about to borrow asks after it has begun to change the connection.
 */
void borrow_stop(void);
void borrow_go_on(void);
bool borrow_is_stopped(void);
/* In a forked child: whoever has stopped it does not exist here. */
void borrow_stop_forked(void);

/* The system calls of this process and its children are filtered from now on. */
void borrow_stop_filtered(void);
bool borrow_is_filtered(void);

/*
 * By the thread beside: the lender rests, or is woken. Not while anything is stopped, nor behind a
 * filter; and a lender rests only where connections are borrowed when that pays, since where they
 * are borrowed at once one that rests would be in the way. borrow_await_rest(): after
 * borrow_stop(), waits until it has done so, some 10 ms.
 */
void borrow_rest(bool rests);
void borrow_await_rest(void);

#endif
