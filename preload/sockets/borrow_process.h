/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections that other processes may have, too: what becomes of them around a fork, and when the
 * last other holder has gone. Not for the locks around a fork: lifecycle/main.c.
 */
#ifndef MELIN_BORROW_PROCESS_H
#define MELIN_BORROW_PROCESS_H

/*
 * Around a fork, of whatever kind: all are given back, and none is borrowed meanwhile. Before any
 * lock is taken; the other two after all were given back. Then a connection that both processes
 * have is borrowed only when the other one has closed it.
 */
void borrow_before_fork(void);
void borrow_after_fork(void);
void borrow_forked(void);

/*
 * Before the program gives up rights: what is borrowed goes back while it may, and later loans go
 * through the broker. Takes milliseconds the first time.
 */
void borrow_before_losing(void);

/*
 * Those that no other process has any more may be borrowed again. On the thread beside: it reads
 * what /proc says of all processes.
 */
void borrow_look_for_holders(void);

#endif
