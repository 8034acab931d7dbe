/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host mode: the kernel makes and owns all connections; here the stack borrows some of them and
 * gives them back. Which ones, and when that pays, is borrow_policy.h's; the kernel's side of it is
 * the lender's (broker/lender.h). borrow_start.h begins it, borrow_lend.h has the life of a socket,
 * borrow_watch.h what comes before a loan, borrow_stop.h when there is none, borrow_wanted.h what
 * asks for one back, borrow_process.h what other processes change.
 *
 *                      LENDABLE  the kernel carries it; calls are libc's, and counted
 *      borrow, by a call |   ^
 *      that transfers    v   |   give back, by any thread
 *                      CHANGING  one thread has it; all others wait for the end of that
 *                        |   ^
 *                        v   |
 *                     CONNECTION of the stack, socket.borrowed; the twin is silent
 *
 * and from CHANGING to KERNEL, if it is not to be borrowed again.
 *
 * Who borrows has the only reference but the table's: nobody is inside a call on the connection, be
 * it in the kernel or in the stack. (Each call that transfers or waits has one: lent_call.h,
 * poll.h. A state is stored before references are counted, and a reference is taken before the
 * state is looked at.) Who gives back need not be alone: calls that are in the stack get -ESTALE
 * and begin anew in the kernel. The stack's handle lives on until somebody is alone with it.
 *
 * Threads: any, holding no lock of melin's, with a reference to the socket. errno may change.
 */
#ifndef MELIN_BORROW_H
#define MELIN_BORROW_H

#include <stdbool.h>

struct socket;

/* Why a connection is given back. The order is that of the counters (enum flow_count). */
enum borrow_return {
	BORROW_CLOSED,	/* close(2), shutdown(2), the end of the process */
	BORROW_PEER,	/* a FIN or RST has come, or the peer is silent for too long */
	BORROW_PROCESS, /* another process may use it: fork(2), execve(2), SCM_RIGHTS */
	BORROW_CALL,	/* an option or a call that the kernel serves alone */
	BORROW_PATH,	/* the interface, its address, the route or the neighbour have changed */
	BORROW_LOSS,
	BORROW_BULK,
	BORROW_IDLE,
	BORROW_SLOW,	/* the thread sleeps for each message */
	BORROW_RIGHTS,	/* the process gives up what borrowing takes */
	BORROW_DRAINED, /* melin drain */
	BORROW_CHANCE,	/* MELIN_BORROW=random */
};

/* Borrows it now: false, if that cannot be. */
bool borrow_now(struct socket *socket, int descriptor);
/* Under MELIN_REQUIRED=1: the kernel's for good, although a rule takes it. */
bool borrow_is_refused(const struct socket *socket);
/* Whether a ring of the program's may wait for it (rings.h). */
bool borrow_is_rings(const struct socket *socket);

/*
 * The kernel has it again; for_good: and keeps it. Of one that was not borrowed only the latter is
 * done. borrow_end_any(): the same for a descriptor, whatever it is.
 */
void borrow_end(struct socket *socket, enum borrow_return why, bool for_good);
void borrow_end_any(int descriptor, enum borrow_return why, bool for_good);
void borrow_end_all(enum borrow_return why);

/* Its last descriptor goes: the kernel closes it next, unless a call on it is running. */
void borrow_close(struct socket *socket);

/* Gives all back, for whoever has set the status page's drained before. By the thread beside. */
void borrow_drain(void);

/*
 * Around a filter for system calls (seccomp(2)), of which nobody knows what it allows, and which
 * may kill for any other call; between borrow_stop() and borrow_go_on(). Before the call, which may
 * fail, all is given back and watched no longer. Once it has succeeded all is the kernel's for
 * good, which takes no system call, and nothing is borrowed, nor prepared for that, by this process
 * and its children.
 */
void borrow_before_filter(void);
void borrow_filtered(void);

#endif
