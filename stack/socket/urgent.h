/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Urgent data, MSG_OOB: lwIP knows nothing of it. As in Linux one byte is urgent at a time, the one
 * before the place that the urgent pointer names; it stays in the stream's place, where a reader
 * steps over it unless SO_OOBINLINE is on. Not for the signal: preload's.
 */
#ifndef MELIN_URGENT_H
#define MELIN_URGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct connection_state;
struct stack_socket;
struct tcp_hdr;
struct tcp_pcb;

/* Linux's tp->urg_data */
enum urgent_state {
	URGENT_NONE,	/* there is none, or the reader is past it */
	URGENT_AWAITED, /* the pointer has come, the byte has not */
	URGENT_THERE,	/* it can be read */
	URGENT_READ,	/* with MSG_OOB; its place in the stream is still to come */
};

struct urgent {
	uint64_t place; /* of the byte in the stream, in info_counts.bytes_received's numbers */
	uint32_t end;	/* the program has sent some, up to this sequence number, if sending */
	enum urgent_state state : 8;
	bool sending;
	bool announced; /* a pointer has come that preload does not know of yet */
};

/* ---- the peer's ---- */

/*
 * A segment with the URG bit has come: finds the place in the stream of the byte that it makes
 * urgent. False: it is no news, or beyond the window.
 */
bool urgent_find(const struct stack_socket *socket, const struct tcp_pcb *pcb,
		 const struct tcp_hdr *header, uint64_t *place);
/* The byte at that place, which has not come yet, is urgent. */
void urgent_await(struct stack_socket *socket, uint64_t place);
/* Data has come into the queue, or was taken from it. */
void urgent_moved(struct stack_socket *socket);
/* Bytes that are unread before the urgent one; SIZE_MAX: none is before the reader. */
size_t urgent_distance(const struct stack_socket *socket);
/* Whether the next unread byte is urgent and must be stepped over. */
bool urgent_is_next(const struct stack_socket *socket);
/* recv(2) with MSG_OOB: as Linux's tcp_recv_urg(). Never waits. */
ssize_t urgent_receive(struct stack_socket *socket, const struct iovec *iov, size_t count,
		       int flags);

/* For who has the connection next: what became of the byte, and what of ours is on its way. */
void urgent_tell(const struct stack_socket *socket, struct connection_state *state);

/* ---- ours ---- */

/* All that has been written up to now is urgent. */
void urgent_send(struct stack_socket *socket);
/* The peer does not have all of it yet: Linux's tcp_urg_mode(). */
bool urgent_is_sending(const struct stack_socket *socket, const struct tcp_pcb *pcb);
/* The peer has acknowledged more: perhaps all that was urgent. */
void urgent_acknowledged(struct stack_socket *socket, const struct tcp_pcb *pcb);
/* A segment that is about to leave gets the pointer, or loses it again. */
void urgent_stamp(const struct stack_socket *socket, const struct tcp_pcb *pcb,
		  struct tcp_hdr *header, uint32_t sequence);

#endif
