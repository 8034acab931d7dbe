/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listen(2) and accept(2), and what a listener makes of segments that no connection is there for.
 * Not for the connections that wait for accept(): accept_queue.h.
 */
#ifndef MELIN_LISTEN_H
#define MELIN_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

struct pbuf;
struct stack_socket;
struct tcp_hdr;
struct tcp_pcb;

/* stack_operations.listen */
int listen_start(struct stack_socket *socket, const struct sockaddr *local, int backlog);
/* stack_operations.accept, but it does not look for input: -EAGAIN is what is known so far. */
int listen_accept(struct stack_socket *listener, struct stack_socket **socket,
		  struct sockaddr_storage *peer);
/* Ends listening: children that nobody has accepted are reset. */
void listen_stop(struct stack_socket *listener);
/*
 * A segment of no connection for a listener. Returns whether it has been dealt with; otherwise lwIP
 * does: a SYN makes an embryo, an ACK is answered by a reset.
 */
bool listen_segment(struct tcp_pcb *listening, struct tcp_hdr *header, struct pbuf *payload);
/*
 * A segment with a wrong acknowledgement for a half-open connection: its SYN may have been answered
 * by a cookie before it came a second time. Returns whether it has been dealt with; child and its
 * PCB may be gone then.
 */
bool listen_take_cookie(struct stack_socket *child, struct tcp_hdr *header, struct pbuf *payload);
/* A connection that a peer has begun ends without a word; nothing if it is established. */
void listen_drop_embryo(struct stack_socket *child);

#endif
