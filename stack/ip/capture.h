/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures frames: a link (dpdk/link.h) on top of the device's, which copies what goes by into a
 * ring that another process reads (common/capture_ring.h). It is there only while somebody reads,
 * so that nothing is asked of any frame or burst otherwise. Not for what is captured of connections
 * within the process (loop.h): there are no frames.
 */
#ifndef MELIN_CAPTURE_H
#define MELIN_CAPTURE_H

#include <stdint.h>

#include "common/capture_ring.h"
#include "dpdk/link.h"

struct stack;

/* A part of the instance; all but below is meaningless unless that is set. */
struct capture {
	struct link link; /* first: the instance's link while frames are captured */
	struct link *below;
	struct link_operations operations;
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
