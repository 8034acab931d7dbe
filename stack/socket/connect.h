/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connect(2), and what a socket keeps of how its connection began. The instance's lock is held for
 * all of it. Not for what happens to the connection afterwards: socket.h.
 */
#ifndef MELIN_CONNECT_H
#define MELIN_CONNECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct stack_socket;

/* How the connection began. */
struct handshake {
	uint64_t since;		/* ns: when connect() was called or a SYN came; 0: not known */
	uint32_t round_trip_us; /* the first one, until lwIP's coarse clock has one */
	bool called;		/* connect() has made the connection, not a peer */
	bool crossed;		/* the peer's SYN has come before its answer to ours */
};

/*
 * stack_operations.connect: begins, or says what has become of what was begun. A begun attempt
 * goes on by itself; its end is an event of the socket.
 */
int connect_advance(struct stack_socket *socket, const struct sockaddr *local,
		    const struct sockaddr *remote);

#endif
