/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Local ports: which may be listened on, which a new connection gets.
 */
#ifndef MELIN_PORTS_H
#define MELIN_PORTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lwip/ip_addr.h"

struct stack;
struct stack_socket;

/*
 * A local port for a connection of which the other three parts are known: another connection may
 * have the same one to another peer. 0: all are taken.
 */
uint16_t ports_choose(const ip_addr_t *local, const ip_addr_t *remote, uint16_t remote_port);

/* Whether socket may listen there: 0 or -EADDRINUSE. */
int ports_may_listen(const struct stack_socket *socket, const ip_addr_t *local, uint16_t port);
/* A port that nobody listens on, for listen() without bind(). 0: all are taken. */
uint16_t ports_choose_listener(const struct stack_socket *socket, const ip_addr_t *local);

/* stack_operations.port_in_use; the lock is held. */
bool ports_in_use(const struct sockaddr *local);

#endif
