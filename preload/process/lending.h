/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host mode: the process's lender (broker/lender.h), by which the kernel's connections are
 * borrowed, and the thread of melin's that does what no thread of the program's can: it starts the
 * stack while the kernel serves, and gives back what must be given back while the program is
 * elsewhere; in both modes it answers who reads the status page (status.h). Not for connections
 * (sockets/borrow.h).
 */
#ifndef MELIN_LENDING_H
#define MELIN_LENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/lender.h"

/* The running lender, or NULL. Any thread; it stays until the process ends or forks. */
struct lender *lending_lender(void);

/*
 * For a start of the stack: opens the lender, unless there is one, by the process's own rights (the
 * calling thread's) or through the broker, for which it may wait. REFUSAL_NONE, or why there is
 * none.
 */
enum refusal lending_open(void);
/* Why the last lending_open() failed; REFUSAL_NONE: it did not fail, or has not been called. */
enum refusal lending_refusal(void);

/*
 * Whether lending_open() failed for want of a broker, or of a descriptor: later there may be one.
 */
bool lending_may_come(void);

/*
 * A thread of the program's is about to go to another network namespace, from which nothing can be
 * injected here: what is lent by the process's own rights is given back by melin's thread from now
 * on (lending_give()).
 */
void lending_before_moving(void);
bool lending_has_moved(void);

/*
 * How often the thread looks at what is borrowed: an idle connection costs nothing but memory, a
 * few KiB.
 */
#define LENDING_LOOK_MS 10000

/*
 * What the thread does. Each runs on that thread, one at a time, holding no lock; set once, before
 * the first request. look() is called every LENDING_LOOK_MS as well.
 */
struct lending_work {
	void (*start)(void);	  /* the stack, unless it runs */
	void (*give_back)(void);  /* connections that the stack wants to be given back */
	void (*look)(void);	  /* at all borrowed connections: which are idle; or NULL */
	void (*holders)(void);	  /* who else has connections that were inherited */
	void (*give_all)(void);	  /* the process is about to end */
	void (*renew)(void);	  /* the lender, whose broker has gone */
	void (*rest)(bool rests); /* the lender: lender_rest(), lender_wake() */
	/* A reader of the status page has asked for that: enum status_request. */
	void (*status)(uint32_t wanted);
};
void lending_set_work(const struct lending_work *work);

enum lending_request {
	LENDING_START = 1,
	LENDING_GIVE_BACK = 2,
	LENDING_HOLDERS = 4,
	LENDING_GIVE_ALL = 8,
	LENDING_RENEW = 16,
	LENDING_GIVE_ONE = 32,
	LENDING_WAKE = 64,	  /* the lender rests, and is wanted */
	LENDING_REST_LATER = 128, /* by lending_unwatched() */
};

/* The thread begins, unless it has. Not for a caller that holds a lock. */
void lending_begin(void);
/*
 * Asks the thread, which begins with the first request. Any thread; no lock is taken but for the
 * beginning, which a caller that holds one must not ask for: with begun the thread is there.
 */
void lending_ask(enum lending_request request);
/*
 * Asks the thread to look for a broker again (LENDING_RENEW, or LENDING_START where there has been
 * none), but seldom, and the seldomer the longer there is none. False: not now. lending_renewed():
 * there is a broker.
 */
bool lending_ask_again(enum lending_request request);
void lending_renewed(void);
/*
 * Something is watched no longer. If that was the last one, and none comes within LENDING_REST_MS,
 * the lender rests. That is long beside the 10 ms that it takes to rest or to wake, and beside most
 * pauses of a program; and short beside the time between two trials of a connection whose
 * processor others want (borrow_policy_has_room()).
 */
#define LENDING_REST_MS 1000
void lending_unwatched(void);
/*
 * Has the thread do lender_give(), for a caller whose own rights have not been enough: the thread's
 * may be more. The thread may be busy, and other callers may be first: the caller waits until the
 * thread begins, but not for ever: -EPERM.
 */
int lending_give(int descriptor, struct loan *loan, const struct connection_state *state);
/*
 * For who waits until a connection has settled: if the caller is that thread, the connection's may
 * be waiting for it, in lending_give(), which it then does.
 */
void lending_while_waiting(void);
/* Safe in a signal handler: asks for LENDING_GIVE_ALL and waits until it is done, or so long. */
void lending_give_all_waiting(unsigned milliseconds);

/*
 * The program is about to give up the rights that a lender takes: the broker is started, once, and
 * later lenders are its clients.
 */
void lending_before_losing(void);
/*
 * The program has been started with a door (MELIN_BROKER), by melin run --user: lenders are clients
 * of the broker behind it. A descriptor that is none, in a helper that has closed what it
 * inherited, say, is left alone. For the constructor.
 */
void lending_inherit_door(int descriptor);
/* The descriptor by which a process and its children ask the broker, or -1. */
int lending_door(void);

/* In the child of a fork: neither lender nor thread are its. */
void lending_forked(void);

#endif
