/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Socket options between the program, the twin and the stack: which of them a flow takes along from
 * its twin when it is decided, which make it the kernel's, and who answers getsockopt(2) and
 * setsockopt(2) afterwards. What each option needs is in common/option_table.h.
 */
#ifndef MELIN_OPTIONS_H
#define MELIN_OPTIONS_H

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

/*
 * getsockopt(2) and setsockopt(2): 0 or -errno. Any thread may call them while it holds no lock.
 * The errors are Linux's; that of an option which only the kernel serves is in the table.
 */
int twin_options_get(struct socket *socket, int twin, int level, int name, void *value,
		     socklen_t *length);
int twin_options_set(struct socket *socket, int twin, int level, int name, const void *value,
		     socklen_t length);

#endif
