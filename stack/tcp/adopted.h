/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a connection that is borrowed from the kernel has beyond others: the path that its frames
 * take, the peer's end that has come and is left to the kernel, and why it should be given back.
 * Not for taking it over and giving it back: adopt.c.
 */
#ifndef MELIN_ADOPTED_H
#define MELIN_ADOPTED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <sys/queue.h>

#include "common/connection_state.h"
#include "stack/stack.h"

struct stack;
struct stack_socket;
struct tcp_pcb;

struct adopted {
	bool fin_known : 1; /* the peer's FIN has been seen; its number is fin */
	bool closed : 1;    /* and it is the next to be received */
	bool reset : 1;	    /* an acceptable RST has come */
	bool is_cut : 1;    /* its path is no more: nothing is sent until it is given back */
	bool is_returning : 1;
	uint32_t fin;
	LIST_ENTRY(stack_socket) returning; /* of stack->returning, if is_returning */
	struct connection_path path;
	uint16_t idle_said;	/* lwIP's ticks then */
	uint16_t ethernet_type; /* of its frames, in network order */
	/* connection_state's, which the stack does not change */
	uint16_t largest_segment, advertised_segment;
	/* enum stack_return. Read without the lock; nothing else is published by it. */
	_Atomic uint32_t reason;
	/* Of struct stack_losses, as info_counts has the others. */
	_Atomic uint32_t recoveries, timeouts;
};

/* From state's path. 0, or -EINVAL: it has none. */
int adopted_begin(struct stack_socket *socket, const struct connection_state *state);

/*
 * The peer's FIN, whose number is fin, or an RST has come, neither of which lwIP gets to know of.
 * The latter's sequence number is that of the next byte.
 */
void adopted_fin_came(struct stack_socket *socket, uint32_t fin);
void adopted_reset_came(struct stack_socket *socket);
/* Data has been received: perhaps all before the FIN. */
static inline bool adopted_waits_for_end(const struct adopted *adopted)
{
	return adopted->fin_known && !adopted->closed;
}
void adopted_received(struct stack_socket *socket);
/* The kernel's name of a link-local address has the interface in it: ipv6(7). */
void adopted_name_scope(const struct stack_socket *socket, struct sockaddr_storage *name);
/* What give() tells of it. */
void adopted_tell(const struct stack_socket *socket, struct connection_state *state);

/* The slow timer: whether keepalive would have something to do, which is the kernel's. */
void adopted_check_idle(struct stack_socket *socket);

/* The socket is about to be freed: no event of it will be reported any more. */
void adopted_forget(struct stack_socket *socket);
/* One of those that STACK_EVENT_RETURN is to be reported of, each only once; NULL: no more. */
struct stack_socket *adopted_next(struct stack *stack);

/*
 * The connection should be given back. The more pressing of two reasons stays; a loss is said each
 * time. Nothing happens to a connection that is not borrowed. With the lock.
 */
void adopted_return(struct stack_socket *socket, enum stack_return reason);

/* Counts one more. Only who has the lock writes; others may read at any time. */
static inline void adopted_count(_Atomic uint32_t *count)
{
	uint32_t now = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, now + 1, memory_order_relaxed);
}

/* The table's functions */
enum stack_return adopted_reason(const struct stack_socket *socket);
void adopted_losses(const struct stack_socket *socket, struct stack_losses *losses);

#endif
