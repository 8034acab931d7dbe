/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Socket options between the twin and the stack: which of them a flow takes along from its twin
 * when it is decided, and which make it the kernel's. What each option needs is in
 * common/option_table.h. Not for getsockopt(2) and setsockopt(2): option_calls.h.
 */
#ifndef MELIN_TWIN_OPTIONS_H
#define MELIN_TWIN_OPTIONS_H

#include <stdbool.h>
#include <sys/socket.h>

struct f_owner_ex;
struct option;
struct socket;

/*
 * melin has not seen which options were set, as the socket was inherited or received: it takes all
 * that the twin can tell for set.
 */
void twin_options_assume(struct socket *socket);

/*
 * An option that is set on the undecided socket and that only the kernel serves for such a flow
 * (OPTION_CONNECT or OPTION_LISTEN); NULL if there is none.
 */
const struct option *twin_options_kernel_only(const struct socket *socket, int twin, unsigned flow);

/* Gives the stack's half, and the calls of preload/, the options that the program has set. */
void twin_options_adopt(struct socket *socket, int twin);

/* Gives the twin of an accepted connection the options that its listener's twin has. */
void twin_options_inherit(const struct socket *listener, int listener_twin, struct socket *socket,
			  int twin);

/* Whether a value of an option asks for what the stack has not. */
bool twin_options_asks_kernel(const struct option *option, int name, const void *given,
			      socklen_t length);

/*
 * The program has set an option on the twin, to *value, and the kernel has accepted it: it is
 * handed on.
 */
void twin_options_changed(struct socket *socket, int twin, const struct option *option, int level,
			  int name, const void *value);

/*
 * Around what makes the kernel send a signal that the program has had from melin already: stores in
 * *owner who gets the twin's signals (F_SETOWN_EX), and has nobody get them meanwhile.
 */
void twin_mute(int twin, struct f_owner_ex *owner);
void twin_unmute(int twin, const struct f_owner_ex *owner);

#endif
