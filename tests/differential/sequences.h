/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the program "sequences" share: the connections of a sequence, chance, and what
 * has to be told so that the next step begins when all has come to rest. Not for the steps: each
 * table of them is a file's own.
 */
#ifndef MELIN_SEQUENCES_H
#define MELIN_SEQUENCES_H

#include "harness.h"

#define SIDE_FDS 4
#define PAIRS	 2
/* So much is on the way at most: less than any window, so that all of it arrives unread. */
#define FLIGHT_MAX    20000
#define DATA_BYTES    32768
#define USUAL_WAIT_MS 30 /* of calls that block for want of data or room */
#define LONG_WAIT_MS  5000

/* One end of a connection. */
struct side {
	int fds[SIDE_FDS];  /* the descriptors that it has, -1: none */
	unsigned index;	    /* us 0, them 1; us 2, them 3 of the second pair */
	size_t sent;	    /* so many bytes were taken from it */
	size_t received;    /* so many it has read */
	short expected;	    /* bits that poll() will report: the peer has done something */
	bool loose;	    /* an end, or urgent data: it takes a moment until all is seen */
	bool uncounted;	    /* FIONREAD does not tell whether all has come */
	unsigned elsewhere; /* so many processes and messages hold it beside this process */
};

/* Shared with children: what they send is sent. */
struct sides {
	struct side side[2 * PAIRS];
	unsigned count;
};
extern struct sides *sides;

struct step {
	const char *name;
	void (*run)(struct side *side, int fd);
	unsigned weight;
};

/* Ends with a row without a name. */
extern const struct step transfer_steps[], waiting_steps[], option_steps[], end_steps[],
	sharing_steps[], waking_steps[], holder_steps[], libc_steps[], bulk_steps[];

/* A number below bound: decided by the seed and the step's number, not by the steps before. */
unsigned chance(unsigned bound);
#define ONE_OF(array) ((array)[chance(sizeof(array) / sizeof((array)[0]))])

/* The same numbers again, in a child that was made by an earlier step. */
void chance_again(unsigned step);
unsigned step_number(void);
struct side *peer_of(const struct side *side);
const char *side_name(const struct side *side);
int side_descriptor(const struct side *side); /* its first, or -1 */
struct side *side_of(int fd);		      /* NULL: of none */
struct side *some_side(void);
int some_descriptor(const struct side *side); /* -1: it has none */

/* The side has one more descriptor; more than SIDE_FDS are closed at once. */
void descriptor_added(struct side *side, int fd);
/* The program has closed it, or has put something else there. */
void descriptor_gone(int fd);
/* One that holds it elsewhere does so no more. */
void side_let_go(struct side *side);
/* The side sends no more (FIN), or the connection is broken (RST). */
void side_ended(struct side *side);
void side_broken(struct side *side);
/* It has sent: the answer to what nobody reads any more is an RST. */
void side_has_sent(struct side *side, size_t bytes);

/* How many of length bytes may still be sent, and the bytes that come next. */
size_t sendable(const struct side *side, size_t length);
char *next_data(const struct side *side, size_t length);
extern char received_data[2 * DATA_BYTES];

/* A step of the transfer table, for a thread or a child. */
void run_transfer(struct side *side, int fd);
/* What poll() and FIONREAD say of each side. */
void look_at_all(void);
void show_signals(void);
/* Until nothing moves any more. */
void rest(void);
/* Until all has come, for who holds the side by a descriptor that is not told here. */
void await_at(const struct side *side, int fd);

int bytes_of(int fd); /* FIONREAD; -1: it fails */
/* SO_RCVTIMEO or SO_SNDTIMEO; 0 ms: for ever. */
int limit_waits(int fd, int name, int ms);

/* A descriptor by a message; -1: none has come. */
void send_descriptor(int by, int fd);
int receive_descriptor(int by);

/* A new sequence begins, or ends: what a file keeps for it. */
void waiting_begin(void);
void waiting_end(void);
void holders_begin(void);
void holders_release(const struct side *side); /* the connection's, which is closed */
void holders_end(void);

#endif
