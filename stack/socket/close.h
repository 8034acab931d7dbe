/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of a connection, by the program's will: close(2), shutdown(2), connect(2) to AF_UNSPEC.
 * The lock is held. Not for the end that the peer or a timeout brings: socket_done().
 */
#ifndef MELIN_CLOSE_H
#define MELIN_CLOSE_H

struct stack_socket;

/* As Linux's tcp_disconnect(): aborts what there is, the socket is as new. */
void socket_disconnect(struct stack_socket *socket);
/* Nothing is sent for it: somebody else has the connection and goes on with it. */
void socket_forget(struct stack_socket *socket);
/* What release() does to the connection; the memory stays. */
void socket_end(struct stack_socket *socket);
/* That, and the memory goes: stack_operations.release. */
void socket_release(struct stack_socket *socket);
/* stack_operations.shutdown */
int socket_shut_down(struct stack_socket *socket, int how);

#endif
