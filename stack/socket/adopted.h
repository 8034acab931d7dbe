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

#include "common/connection_state.h"
#include "stack/stack.h"

struct stack_socket;

struct adopted {
	bool is_borrowed; /* the instance has a tap; all below is for such connections only */
	bool announced;	  /* STACK_EVENT_RETURN is to be reported */
	bool fin_known;	  /* the peer's FIN has been seen; its number is fin */
	bool closed;	  /* and it is the next to be received */
	bool reset;	  /* an acceptable RST has come */
	uint32_t fin;
	struct connection_path path;
	/* enum stack_return. Read without the lock; nothing else is published by it. */
	_Atomic uint32_t reason;
	/* struct stack_losses. Read without the lock: numbers that stand alone. */
	_Atomic uint32_t recoveries, timeouts, retransmitted, out_of_order;
};

/*
 * The connection should be given back. The more pressing of two reasons stays; a loss is said each
 * time. Nothing happens to a connection that is not borrowed. With the lock.
 */
void adopted_return(struct stack_socket *socket, enum stack_return reason);

/* One more, by whoever has the lock. */
static inline void adopted_count(_Atomic uint32_t *count)
{
	uint32_t now = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, now + 1, memory_order_relaxed);
}

/* The table's functions */
enum stack_return adopted_reason(const struct stack_socket *socket);
void adopted_losses(const struct stack_socket *socket, struct stack_losses *losses);

#endif
