/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much memory all connections together have, and what follows: the stack's tcp_mem (tcp(7)).
 * Not for a single connection's buffers: send_buffer.c and receive_window.c ask with pressure_now()
 * of instance.h.
 *
 * The bound is on what lwIP and the receive queues have from malloc() for data: segments to be
 * sent and copies of what was received. Received frames that still lie in the device's buffers are
 * few, see receive_queue.c and segment.c; connections without data count nothing. The instance's
 * lock is held for all of it.
 */
#ifndef MELIN_PRESSURE_H
#define MELIN_PRESSURE_H

#include <stddef.h>

enum pressure {
	PRESSURE_NONE,	/* each connection has the buffers that it is quickest with */
	PRESSURE_LOW,	/* to be sent: no more than twice the window, as Linux at any time */
	PRESSURE_HIGH,	/* nothing grows, windows become small */
	PRESSURE_LIMIT, /* each connection has only what is guaranteed */
};

/* What a connection is always given, whatever others have; bytes. Linux's SOCK_MIN_SNDBUF. */
#define PRESSURE_GUARANTEED 4608

struct pressure_limits {
	size_t low, high, limit; /* bytes */
};

/* Sets them by the machine's memory, or, for tests, by the last of them. 0: the machine's. */
void pressure_start(struct pressure_limits *limits, size_t limit);

/* The current instance's, when there is more than the least; out of line because it is rare. */
enum pressure pressure_beyond_low(void);

#endif
