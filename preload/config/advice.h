/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the user is told when melin does less than he may believe: rules that can take nothing,
 * flows that the stack cannot carry, a process in which nothing was taken. Each of it once in a
 * process, and not again in its children of fork(2). Not for deciding anything (flow.h), and not
 * for why a stack cannot start (process_stack.c).
 *
 * A process inherits the variables from its parent like a shell's helpers do, so nobody is told
 * anything who does not connect or listen by TCP. All of these functions may be called from any
 * thread, take no lock and keep errno.
 */
#ifndef MELIN_ADVICE_H
#define MELIN_ADVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "preload/config/address.h"
#include "preload/config/config.h"
#include "preload/config/rules.h"

/* Why a flow stays with the kernel, the reason that explains most first. */
enum advice_reason {
	ADVICE_UNMATCHED, /* no rule is for it */
	ADVICE_HOST,	  /* a rule is for it, but it listens on an address of the host's */
	ADVICE_LOOPBACK,  /* loopback, and no rule names that */
	ADVICE_LOCAL,	  /* it leads to an address of the host's, or is bound to one */
	ADVICE_OPTION,	  /* the program has set an option that only the kernel knows */
	ADVICE_ROUTE,	  /* the stack has no way there */
	ADVICE_EXCLUDED,  /* a rule with ! is for it */
	ADVICE_REASONS,
};

/*
 * The program connects (RULE_CONNECT) or listens: rules of that kind that name an address for which
 * they can take nothing are reported.
 */
void advice_check_rules(enum rule_verb verb);

/* The verdict on a flow was not to take it: why, from its address and port. */
enum advice_reason advice_why_not(enum rule_verb verb, const struct ip_address *address,
				  uint16_t port);

/* Notes that a flow stays with the kernel; the first one for want of a route is reported. */
void advice_left(enum advice_reason reason, enum rule_verb verb, const struct ip_address *address,
		 uint16_t port);

/* The same for want of an option (ADVICE_OPTION), whose name stays the caller's. */
void advice_left_for_option(const char *option, enum rule_verb verb,
			    const struct ip_address *address, uint16_t port);

/*
 * The process becomes the program at path: whether it will be without this library, and so with
 * the kernel alone, is said; as information only if it is a helper. wants: whether anybody would
 * read it.
 */
bool advice_wants_programs(void);
void advice_executes(const char *path);

/*
 * The process begins: said of a Go program that is linked with ld.so, so that it has this library
 * and makes its calls past it. Who has executed it may have had no library to say so.
 */
void advice_begins(void);

/* The stack has started: whether its addresses have neighbours. */
void advice_started(void);

/*
 * The process ends. taken: flows that went through the stack, accepted ones too. failed: those that
 * the stack would have carried, had it started. unused: there were selected listeners, but none was
 * waited on here. If nothing was taken the reason is said: as a warning, but as information where
 * it has been said before, is what a rule asks for, or is a helper's: of a process whose parent is
 * under melin too.
 */
void advice_end(unsigned long taken, unsigned long failed, bool unused);

/* In the child of fork(): it has left nothing to the kernel yet. */
void advice_forked(void);

/*
 * For a program with variables of melin's but without MELIN_FLOWS, which connects or listens: says
 * that nothing is taken, if the descriptor is a TCP socket.
 */
void advice_without_rules(int descriptor);

#endif
