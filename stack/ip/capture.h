/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures frames: operations of the device's link (dpdk/link.h) in the place of its own, which
 * copy what goes by into a ring that another process reads (common/capture_ring.h). They are there
 * only while somebody reads, so that nothing is asked of any frame or burst otherwise. Not for what
 * is captured of connections within the process (loop.h): there are no frames.
 */
#ifndef MELIN_CAPTURE_H
#define MELIN_CAPTURE_H

#include <stdint.h>

#include "common/capture_ring.h"
#include "dpdk/link.h"

struct stack;

/* A part of the instance; all but device is meaningless unless that is set. */
struct capture {
	const struct link_operations *device; /* the link's own; NULL: nothing is captured */
	struct link_operations operations;    /* those with which it captures */
	struct capture_ring *ring;
	uint64_t head; /* the ring's own is in memory that the reader can write to */
	uint64_t lost;
	uint32_t alive;	     /* the reader's count as it was seen last, */
	uint64_t alive_time; /* and when: CLOCK_MONOTONIC, ns */
};

/*
 * stack.h's capture(), under the lock: begins, or ends with NULL. 0; -ENODEV: there is no device
 * (the loop). A capture before it ends.
 */
int capture_set(struct stack *stack, struct capture_ring *ring);

#endif
