/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guard: a process that outlives this one if that is killed, and then has the peers of what it
 * had borrowed ask who is there. The kernel's sockets of borrowed connections go without a word, so
 * that a peer which only waits would wait for ever. For a process that lends to itself; the clients
 * of a broker have that. It is melin-broker's program, by --guard, and no child of the program's
 * (broker_start.h); it sleeps, and has no rights but the tap.
 *
 * What it has to know lies in memory that both have: a loan is noted by stores.
 */
#ifndef MELIN_GUARD_H
#define MELIN_GUARD_H

#include <stdint.h>

#include "broker/injection.h"
#include "broker/lender.h"
#include "broker/tap_socket.h"

struct guard_entry {
	uint32_t is_lent; /* atomic: released with what follows, and acquired */
	struct loan loan;
	struct injection_probe probe; /* of the time at which it was borrowed */
};

#define GUARD_BYTES (TAP_CONNECTIONS * sizeof(struct guard_entry))

/* A message of a byte that comes with these begins the guard's work. */
enum guard_file {
	GUARD_TABLE, /* entries, by the number in the loan's token */
	GUARD_TAP,
	GUARD_FILES,
};

union guard_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(GUARD_FILES * sizeof(int))];
};

/* The process's side. All zero: there is no guard. */
struct guard {
	int channel; /* which nobody else has: its end is that of the process */
	struct guard_entry *entries;
};

/*
 * Starts the program at that path as the guard of loans that are noted afterwards. 0 or a negative
 * errno value: there is none. Takes as long as broker_start(). -ECHILD: the process is the first of
 * its PID namespace, whose end ends all others there.
 */
int guard_begin(struct guard *guard, int tap, const char *path);

/* It ends, unless something is noted. Any thread that no other overlaps. */
void guard_end(struct guard *guard);

/* In the child of a fork. */
void guard_abandon(struct guard *guard);

/* The connection is borrowed, or is so no longer. Any thread; no system call. */
void guard_note(const struct guard *guard, const struct loan *loan,
		const struct connection_state *state);
void guard_forget(const struct guard *guard, const struct loan *loan);

/* The guard's own side: in melin-broker, by --guard. Returns its exit status. */
int guard_run(int channel);

#endif
