/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that the tap shows of a connection before the stack has it: the lender shows them from the
 * moment at which it lends it, and a thread that polls may be faster than the one that adopts. They
 * wait here while a loan is under way. Not for whose they are: host.c asks again when a connection
 * has come.
 */
#ifndef MELIN_EARLY_FRAMES_H
#define MELIN_EARLY_FRAMES_H

#include <stdbool.h>

struct pbuf;

/*
 * A loan takes some 10 us, and the peer has been answered before it: more than a few segments come
 * from a bulk sender alone. What is too much is lost as on a wire.
 */
#define EARLY_FRAMES_MAX 64

/* Under the instance's lock, but for loans. */
struct early_frames {
	/*
	 * How many loans are under way. Raised without the lock, before the lender shows anything;
	 * so who has a frame of a loan's finds it raised.
	 */
	_Atomic unsigned loans;
	unsigned count;
	struct pbuf *frame[EARLY_FRAMES_MAX]; /* in the order in which they came */
};

/* A loan begins: any thread, without the lock. */
void early_frames_begin(struct early_frames *early);
/*
 * A loan is over. If no other is under way, the frames that have waited are freed: returns how
 * many.
 */
unsigned early_frames_end(struct early_frames *early);

/* True: it is kept, no longer the caller's. False: nothing is under way, or there is no room. */
bool early_frames_keep(struct early_frames *early, struct pbuf *frame);
/* All of them to another list, which is empty. */
void early_frames_move(struct early_frames *early, struct early_frames *to);
/* Returns how many there were. */
unsigned early_frames_free(struct early_frames *early);

#endif
