/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Socket options: which of them a flow takes along from its twin when it is decided, and who
 * answers getsockopt(2) and setsockopt(2) afterwards.
 */
#ifndef MELIN_OPTIONS_H
#define MELIN_OPTIONS_H

#include <sys/socket.h>

struct socket;

/* The program set an option before the flow was decided (the twin has it). */
void options_remember(struct socket *socket, int level, int name);

/* Nobody saw which options were set (an inherited socket): take along all but the sizes. */
void options_assume(struct socket *socket);

/* Gives the stack's socket what the twin was given. */
void options_adopt(struct socket *socket, int twin);

/* An accepted connection's twin is given what its listener's has. */
void options_inherit(const struct socket *listener, int listener_twin, struct socket *socket,
		     int twin);

/* 0 or -errno. */
int options_get(struct socket *socket, int twin, int level, int name, void *value,
		socklen_t *length);
int options_set(struct socket *socket, int twin, int level, int name, const void *value,
		socklen_t length);

#endif
