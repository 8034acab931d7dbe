/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stack's half of a socket whose flow is being decided: made with what its twin was told, and
 * given back if the stack cannot serve it after all. Not for deciding (flow.h), nor for accepted
 * connections, whose half the stack has made.
 */
#ifndef MELIN_STACK_HALF_H
#define MELIN_STACK_HALF_H

#include <stdbool.h>

struct instance;
struct socket;

/* The twin's IPV6_V6ONLY; false for IPv4. */
bool stack_half_v6only(int twin, int domain);

/*
 * Makes the stack's half (socket->handle), with the options that the twin has. 0, or -errno as the
 * stack's socket_create() returns it. Both take the stack's lock.
 */
int stack_half_create(struct socket *socket, int twin, const struct instance *instance);
void stack_half_drop(struct socket *socket);

#endif
