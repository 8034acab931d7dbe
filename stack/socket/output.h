/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which data leaves as segments, and when: Linux's rules for small segments (Nagle's algorithm as
 * Minshall changed it, TCP_NODELAY, TCP_CORK, MSG_MORE) in the place of lwIP's. Not for the room in
 * the send buffer: send.h.
 */
#ifndef MELIN_OUTPUT_H
#define MELIN_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/err.h"

struct stack_socket;
struct tcp_pcb;
struct tcp_seg;

struct output {
	struct tcp_seg *unsent_tail; /* last of pcb->unsent; NULL: not known */
	uint64_t held_since;	     /* when the tail was first kept back; 0: it is not */
	uint32_t small_end;	     /* end of the last segment sent that was not full */
	bool small_sent;	     /* there is one that the peer has not acknowledged */
	bool more;  /* the last send had MSG_MORE, and no acknowledgement came since */
	bool push;  /* TCP_NODELAY was set: nothing written before waits any longer */
	bool ended; /* the last send had MSG_EOR */
};

err_t output_write(struct stack_socket *socket, const void *data, uint16_t size, uint8_t flags);
/*
 * After TCP_NODELAY or TCP_CORK was set: sends what TCP_CORK or MSG_MORE held back, and, if all,
 * what Nagle's algorithm would still hold back. As Linux's tcp_push_pending_frames(). Nothing
 * happens without a connection.
 */
void output_push(struct stack_socket *socket, bool all);
/* Lets a tail that has been held for too long go; now is the clock's time. */
void output_check_held(struct stack_socket *socket, uint64_t now);

/*
 * The peer has acknowledged more, be it a part of a segment, of which lwIP tells nobody, or a FIN.
 * Nothing happens if it has not.
 */
void output_acknowledged(struct stack_socket *socket, const struct tcp_pcb *pcb);

/* A segment leaves; again: it has been sent before. */
void output_note_segment(struct stack_socket *socket, const struct tcp_pcb *pcb, uint32_t sequence,
			 uint32_t size, bool again);

#endif
