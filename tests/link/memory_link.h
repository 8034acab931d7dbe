/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link of memory (dpdk/link.h), for tests and benchmarks of the stack without a device: MELIN_DEV
 * "memory". What the stack sends waits for whoever looks at it, or goes to the stack at the other
 * end; what it receives was put here. Checksums are left as they are: a device would do them. Not
 * for what the frames mean: tests/unit/stack/wire.h.
 *
 * Whoever is linked with it has the one memory_link, and its link_open(). All is done on the thread
 * that calls the stack.
 */
#ifndef MELIN_TEST_MEMORY_LINK_H
#define MELIN_TEST_MEMORY_LINK_H

#include "dpdk/link.h"

#define MEMORY_FRAME_MAX 2048 /* bytes; longer ones are refused: the link's MTU is 1500 */

struct memory_frame;

struct memory_list {
	struct memory_frame *first, *last;
};

/* Frames on their way in one direction, and those that may be used again, the oldest first. */
struct memory_queue {
	struct memory_list waiting, unused;
};

struct memory_link {
	struct link link;
	struct link_counters counters;
	struct memory_queue received; /* to the stack, with its next poll() */
	struct memory_queue sent;     /* by the stack, unless there is a peer */
	struct memory_link *peer;     /* the other end: its stack receives what this one sends */
	unsigned interface;	      /* of the last frame that named one: transmit_by() */
	/* NULL, or called with each frame that the stack sends. True: that is the end of it. */
	bool (*answer)(const uint8_t *frame, size_t size);

	bool has_no_way; /* for any connection: has_way() */

	struct link_config config; /* what it was opened with */
	struct link_path_news news[16];
	unsigned news_count;
};

extern struct memory_link memory_link;

/*
 * So many frames take turns from now on, as those of a device's ring do: what it writes is in none
 * of the processor's caches then. Without it there are as many as were ever needed at a time.
 */
void memory_queue_prepare(struct memory_queue *queue, unsigned frames);
/* Appends a copy of a frame. */
void memory_queue_put(struct memory_queue *queue, const void *frame, size_t size);
/* Takes the first frame and copies up to size bytes of it. Returns how many; 0: there is none. */
size_t memory_queue_take(struct memory_queue *queue, void *frame, size_t size);

/* Tells the stack, with its next look at the device, what has become of a way of frames. */
void memory_link_change_path(const struct link_path_news *news);

#endif
