/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listen(2) and accept(2): what a listener keeps of its children, the connections that peers have
 * begun and accept() has not taken, and a child of its place there.
 */
#ifndef MELIN_LISTEN_H
#define MELIN_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct pbuf;
struct stack_socket;
struct tcp_hdr;
struct tcp_pcb;

/* Children of a listener in the order in which they came, oldest first. */
struct child_list {
	struct stack_socket *head, *tail;
};

/* Of a listener. */
struct accept_queue {
	struct child_list established, embryos;
	unsigned backlog, established_count, embryo_count;
	bool overflow_noted; /* in the log */
	uint64_t overflow;   /* ns: when a SYN was last answered by a cookie; 0: never */
};

/* Of a child: its place at its listener. */
struct listen_place {
	struct stack_socket *listener; /* NULL: accept() has taken it, or it never had one */
	struct stack_socket *next, *previous;
	bool deferred; /* established, but accept() gets it only with data: TCP_DEFER_ACCEPT */
};

int listen_start(struct stack_socket *socket, const struct sockaddr *local, int backlog);
int listen_accept(struct stack_socket *listener, struct stack_socket **socket,
		  struct sockaddr_storage *peer);
/* Ends listening: children that nobody has accepted are reset. */
void listen_stop(struct stack_socket *listener);
/* Whether accept() knows nothing of it yet: it may end without a word. */
bool listen_is_embryo(const struct stack_socket *child);
/* A child's connection has died before accept(). Returns whether the socket is gone. */
bool listen_forget_child(struct stack_socket *child);
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
/* TCP_DEFER_ACCEPT: data has come for a connection that waited for it. */
void listen_data_came(struct stack_socket *child);
/* The same, because it has waited long enough; now is the clock's time. */
void listen_check_deferred(struct stack_socket *child, uint64_t now);
/* Whether a segment that would establish child must be ignored: the queue is full. */
bool listen_is_full(const struct stack_socket *child);

#endif
