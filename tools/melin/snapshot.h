/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What melin stat, top and drain show: processes with melin in them, what they have counted and
 * their connections, from their status pages and from the kernel, put together. Not for how it is
 * printed.
 */
#ifndef MELIN_SNAPSHOT_H
#define MELIN_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "common/status_page.h"

enum carrier {
	CARRIER_KERNEL,
	CARRIER_BORROWED, /* the stack, of a connection of the kernel's */
	CARRIER_STACK,	  /* the stack, of a connection of its own (MELIN_ADDR) */
};

struct connection {
	struct status_row row; /* first */
	enum carrier carrier;
	char why[96];	     /* of the kernel's: why it is that; else "" */
	uint64_t age_ms;     /* since melin saw it begin; 0: it did not */
	uint64_t changed_ms; /* since its carrier has changed last; 0: unknown */
	unsigned loans;	     /* how often it has been borrowed, in all */
};

struct process {
	pid_t number;
	char program[32];
	char library[16]; /* melin's version */
	bool host, drained;
	enum status_stack stack;
	uint64_t flows[FLOW_COUNTS], counts[STATUS_COUNTS];
	uint64_t waits_polled, waits_slept;
	/* What could not be found out, "" if nothing: "its network namespace is closed to ..." */
	char note[128];
	struct connection *connections; /* by descriptor */
	size_t connection_count;
};

struct snapshot {
	struct process *processes; /* by number */
	size_t count;
};

enum snapshot_part {
	SNAPSHOT_CONNECTIONS = 1,
	SNAPSHOT_COUNTS = 2,
};

/*
 * Looks at a process. 0, or what status_open() returns. What it returns is freed by the second.
 */
int process_look(pid_t number, unsigned parts, struct process *process);
void process_free(struct process *process);

/*
 * Looks at all processes with a page that this user may look at; what ends meanwhile is left out.
 */
void snapshot_take(unsigned parts, struct snapshot *snapshot);
/* The same for those of the list; the first that cannot be looked at is *failed, and its error. */
int snapshot_take_of(const pid_t *list, size_t count, unsigned parts, struct snapshot *snapshot,
		     pid_t *failed);
void snapshot_free(struct snapshot *snapshot);

/* What status_open()'s error means for the process, as the rest of a line: "no such process". */
const char *snapshot_error(int error);

#endif
