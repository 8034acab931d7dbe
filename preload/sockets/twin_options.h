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

struct option;
struct socket;

/* Nobody saw which options were set (an inherited socket): all that the twin can tell are taken. */
void twin_options_assume(struct socket *socket);

/*
 * An option of the undecided socket that only the kernel serves, for such a flow (OPTION_CONNECT or
 * OPTION_LISTEN); NULL if there is none.
 */
const struct option *twin_options_kernel_only(const struct socket *socket, int twin, unsigned flow);

/* Gives the stack's socket what the twin was given. */
void twin_options_adopt(struct socket *socket, int twin);

/* An accepted connection's twin is given what its listener's has. */
void twin_options_inherit(const struct socket *listener, int listener_twin, struct socket *socket,
			  int twin);

/* Whether a value of an option asks for what the stack has not. */
bool twin_options_asks_kernel(const struct option *option, int name, const void *given,
			      socklen_t length);

/* The program has set an option on the twin, and the kernel has accepted it: it is handed on. */
void twin_options_changed(struct socket *socket, int twin, const struct option *option, int level,
			  int name);

#endif
