/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The witness: a process that waits for the end of another one, which has borrowed connections by
 * its own rights. If that is killed, the kernel's sockets of borrowed connections go without a
 * word, and a peer that only waits would wait for ever. So the witness then sends each of these
 * peers a segment that they have to answer, and the kernel answers that with a RST. For the clients
 * of a broker the broker itself does this (serve.c). The witness is melin-broker's program, by
 * --witness, and no child of the process (broker_start.h). It sleeps, and has no rights but the
 * tap.
 *
 * What it has to know lies in memory that both have, so that to note a loan is a few stores.
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

/* The witness begins its work with a message of one byte, by which these descriptors come. */
enum witness_file {
	WITNESS_TABLE, /* entries, by the number in the loan's token */
	WITNESS_TAP,
	WITNESS_FILES,
};

union witness_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(WITNESS_FILES * sizeof(int))];
};

/* The side of the process that borrows. All zero: there is no witness. */
struct witness {
	int channel; /* no other process has this end: the witness hears when that is closed */
	struct witness_entry *entries;
};

/*
 * Starts the program at that path as the witness of loans that are noted afterwards. 0 or a
 * negative errno value: there is none. Takes as long as broker_start(). -ECHILD: the process is the
 * first of its PID namespace, whose end ends all others there.
 */
int witness_begin(struct witness *witness, int tap, const char *path);

/*
 * Lets the witness end. If a loan is still noted, it has that one's peer ask first. For one thread
 * at a time.
 */
void witness_end(struct witness *witness);

/* In the child of a fork: the witness is the parent's. */
void witness_abandon(struct witness *witness);

/* The connection is borrowed; it is borrowed no longer. Any thread; no system call. */
void witness_note(const struct witness *witness, const struct loan *loan,
		  const struct connection_state *state);
void witness_forget(const struct witness *witness, const struct loan *loan);

/* The witness's own side: in melin-broker, by --witness. Returns its exit status. */
int witness_run(int channel);

#endif
