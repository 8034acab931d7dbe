/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serves one client of melin-broker: does what it asks with a lender of the client's own, as far as
 * it may ask. Not for who may be a client (melin_broker.c).
 *
 * What a client may ask about are connections whose descriptor it has, and which are in the
 * broker's network namespace (lender.h refuses others). What it says of a connection when that is
 * given back is taken for data and sequence numbers only: ends, options and path are those that the
 * kernel's socket has. So it can bring about nothing of other connections, nor make one.
 */
#ifndef MELIN_SERVE_H
#define MELIN_SERVE_H

/*
 * How many connections the clients that share this room may have watched or borrowed, and have now.
 */
struct serve_room {
	unsigned most;
	_Atomic unsigned used; /* nothing else is published with it */
};

/*
 * Serves the client until it closes its end of the channel, or sends what no client sends. The
 * client's loans take places in the room, which outlives the call, and end with the client. Any
 * thread; may wait for as long as a client makes it wait, by a descriptor whose close waits: a
 * client needs a thread of its own.
 */
void serve(int channel, struct serve_room *room);

/* From now on nothing is borrowed: REFUSAL_BROKER. Loans may be given back. Any thread. */
void serve_stop_lending(void);

/* How many connections are borrowed by clients that are there. Any thread. */
unsigned long serve_count_lent(void);

#endif
