/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of a connection, by the program's will: close(2), shutdown(2), connect(2) to AF_UNSPEC.
 * The lock is held. Not for the end that the peer or a timeout brings: socket_done().
 */
#ifndef MELIN_CLOSE_H
#define MELIN_CLOSE_H

struct stack_socket;

/*
 * As Linux's tcp_disconnect(): a connection is reset, a listener stops, unread data is thrown away,
 * and the socket is as a new one. Its options and its user stay.
 */
void socket_disconnect(struct stack_socket *socket);
/*
 * The connection is forgotten without a segment for the peer, because somebody else has it and goes
 * on with it.
 */
void socket_forget(struct stack_socket *socket);
/*
 * close(2), as far as the connection is concerned: the rest of its data and a FIN are delivered by
 * lwIP alone; unread data, or SO_LINGER with a time of zero, makes a reset of it. The socket's
 * memory stays, and its user is told of nothing more.
 */
void socket_end(struct stack_socket *socket);
/* stack_operations.release: socket_end(), and the memory is freed. */
void socket_release(struct stack_socket *socket);
/* stack_operations.shutdown; how is one of SHUT_RD, SHUT_WR, SHUT_RDWR. */
int socket_shut_down(struct stack_socket *socket, int how);

#endif
