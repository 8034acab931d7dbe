/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A socket of the stack: Linux's socket semantics over one of lwIP's PCBs. preload sees an opaque
 * handle of it. The instance's lock is held in every function that has a socket to do with, but
 * those of readiness.h that say otherwise.
 *
 * From the lowest up: receive_queue, send_buffer and receive_window keep data and room; readiness
 * tells what poll(2) would see; accept_queue keeps a listener's children; pcb ties a socket to
 * lwIP; connect, listen, send, receive, options and close are the calls; report tells the outside.
 */
#ifndef MELIN_SOCKET_H
#define MELIN_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>

#include "stack/socket_parts.h"

struct connection_state;

/* A socket with the default options, closed, in stack->sockets. NULL: no memory. */
struct stack_socket *socket_new(struct stack *stack, int domain);
/* Frees it. It must have no PCB any more. */
void socket_free(struct stack_socket *socket);
/*
 * The connection has ended, as in Linux's tcp_done(): both directions are shut, and error (0: in
 * good order) is SO_ERROR. Whoever calls sees to the PCB.
 */
void socket_done(struct stack_socket *socket, int error);

/* stack_operations.exchange_error */
int socket_exchange_error(struct stack_socket *socket, int error);

/* stack_operations.socket_create and name */
int socket_create(struct stack *stack, int domain, bool v6only, void *user,
		  struct stack_socket **socket);
int socket_address(const struct stack_socket *socket, bool peer, struct sockaddr_storage *name);

/* adopt.c: stack_operations.adopt and give */
int adopt_connection(struct stack *stack, int domain, bool v6only, void *user,
		     const struct connection_state *state, struct stack_socket **result);
int adopt_give(struct stack_socket *socket, struct connection_state *state);

#endif
