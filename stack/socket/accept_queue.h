/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A listener's children, the connections that peers have begun and accept() has not taken: the
 * half-open ones (embryos), and behind them the queue that accept() takes from. The lock is held.
 * Not for how they come and go: listen.h.
 */
#ifndef MELIN_ACCEPT_QUEUE_H
#define MELIN_ACCEPT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct stack_socket;

/* Children of a listener in the order in which they came, oldest first. */
TAILQ_HEAD(child_list, stack_socket);

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
	union {
		TAILQ_ENTRY(stack_socket) child; /* of one of the listener's lists */
		struct stack_socket *next_dead;	 /* of stack->dead */
	};
};

/* Of a socket that is about to listen. */
void accept_queue_start(struct stack_socket *socket);
/* As Linux's sk_acceptq_is_full(). */
bool accept_queue_is_full(const struct stack_socket *listener);
/* Whether a segment that would establish child must be ignored: the queue is full. */
bool accept_queue_refuses(const struct stack_socket *child);
/* A new child. */
void accept_queue_add_embryo(struct stack_socket *listener, struct stack_socket *child);
/* Whether accept() knows nothing of it yet: it may end without a word. */
bool accept_queue_is_embryo(const struct stack_socket *child);
/*
 * The handshake of an embryo is done: accept() can take it, unless TCP_DEFER_ACCEPT lets it wait
 * for data.
 */
void accept_queue_establish(struct stack_socket *child);
/* TCP_DEFER_ACCEPT: data has come for a connection that waited for it. */
void accept_queue_data_came(struct stack_socket *child);
/*
 * The same without data: Linux hands it over once the last of so many SYN-ACKs has been answered.
 * now is the clock's time.
 */
void accept_queue_check_deferred(struct stack_socket *child, uint64_t now);
/* The oldest that is established, which is the caller's then; NULL: there is none. */
struct stack_socket *accept_queue_take(struct stack_socket *listener);
/*
 * A child's connection has died before accept(). Returns whether the socket is gone, too: one that
 * is in the queue stays there, and tells accept()'s caller what has happened.
 */
bool accept_queue_forget(struct stack_socket *child);
/*
 * The end of a child that is in no list any more. lwIP may still hold a pointer to it: it is freed
 * at the end of the call into the stack.
 */
void accept_queue_bury(struct stack_socket *child);

#endif
