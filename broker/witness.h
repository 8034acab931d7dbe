/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The witness: a process that outlives this one if that is killed, and then has the peers of what
 * it had borrowed ask who is there. The kernel's sockets of borrowed connections go without a word,
 * so that a peer which only waits would wait for ever. For a process that lends to itself; the
 * clients of a broker have that. It is melin-broker's program, by --witness, and no child of the
 * program's (broker_start.h); it sleeps, and has no rights but the tap.
 *
 * What it has to know lies in memory that both have: a loan is noted by stores.
 */
#ifndef MELIN_WITNESS_H
#define MELIN_WITNESS_H

#include <stdint.h>

#include "broker/injection.h"
#include "broker/lender.h"
#include "broker/tap_socket.h"

struct witness_entry {
	uint32_t is_lent; /* atomic: released with what follows, and acquired */
	struct loan loan;
	struct injection_probe probe; /* of the time at which it was borrowed */
};

#define WITNESS_BYTES (TAP_CONNECTIONS * sizeof(struct witness_entry))

/* A message of a byte that comes with these begins the witness's work. */
enum witness_file {
	WITNESS_TABLE, /* entries, by the number in the loan's token */
	WITNESS_TAP,
	WITNESS_FILES,
};

union witness_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(WITNESS_FILES * sizeof(int))];
};

/* The process's side. All zero: there is no witness. */
struct witness {
	int channel; /* which nobody else has: its end is that of the process */
	struct witness_entry *entries;
};

/*
 * Starts the program at that path as the witness of loans that are noted afterwards. 0 or a
 * negative errno value: there is none. Takes as long as broker_start(). -ECHILD: the process is the
 * first of its PID namespace, whose end ends all others there.
 */
int witness_begin(struct witness *witness, int tap, const char *path);

/* It ends, unless something is noted. Any thread that no other overlaps. */
void witness_end(struct witness *witness);

/* In the child of a fork. */
void witness_abandon(struct witness *witness);

/* The connection is borrowed, or is so no longer. Any thread; no system call. */
void witness_note(const struct witness *witness, const struct loan *loan,
		  const struct connection_state *state);
void witness_forget(const struct witness *witness, const struct loan *loan);

/* The witness's own side: in melin-broker, by --witness. Returns its exit status. */
int witness_run(int channel);

#endif
