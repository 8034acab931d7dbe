/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames on their way from a process to "melin pcap": a ring of bytes in the status page
 * (status_page.h), so that no call of either opens it and it goes with the process. One writes (the
 * stack, under its lock), one reads (who has begun the capture). Not for what is in a file of
 * frames: tools/melin/pcapng.h.
 *
 * The writer never waits: a frame for which there is no room is counted and left out. Neither
 * believes what the other has written but for its being there: positions are masked, lengths
 * checked.
 */
#ifndef MELIN_CAPTURE_RING_H
#define MELIN_CAPTURE_RING_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/*
 * Frames of 100 bytes at a million a second fill it in 35 ms, and the reader looks every 10. A
 * power of two.
 */
#define CAPTURE_RING_SIZE (UINT32_C(1) << 22)

/* Longer than any frame of a device's (64 KB when the kernel has put segments together). */
#define CAPTURE_FRAME_MAX (UINT32_C(1) << 17)

/* How long the writer waits for a sign of life of a reader that leaves the ring full: ms. */
#define CAPTURE_PATIENCE_MS 5000

/* In front of each frame; the next one begins at a multiple of 8. */
struct capture_head {
	uint64_t time;	    /* CLOCK_REALTIME, ns */
	uint64_t lost;	    /* frames that were left out before this one, since the beginning */
	uint32_t captured;  /* bytes that follow */
	uint32_t length;    /* bytes of the frame */
	uint32_t sent;	    /* 0: received */
	uint32_t interface; /* index, of frames that are sent in host mode; 0: not told */
};

enum capture_state {
	CAPTURE_NONE, /* or it has ended as it should, with the stack, say */
	CAPTURE_RUNS,
	CAPTURE_LEFT_ALONE, /* its reader has shown no life */
};

struct capture_ring {
	/* The writer's. head is stored with release when a frame is whole: the reader acquires. */
	_Atomic uint64_t head __attribute__((aligned(64)));
	_Atomic uint64_t lost;
	_Atomic uint32_t state; /* enum capture_state */
	_Atomic int32_t error;	/* why the last one has not begun, a negative errno value */
	/* The reader's. tail is stored with release once a frame is copied; the writer acquires. */
	_Atomic uint64_t tail __attribute__((aligned(64)));
	_Atomic uint32_t alive;	      /* counts: the reader is there */
	_Atomic uint32_t snap_length; /* at most so many bytes of a frame are captured */

	uint8_t bytes[CAPTURE_RING_SIZE] __attribute__((aligned(4096)));
};

static inline uint64_t capture_round(uint64_t size)
{
	return (size + 7) & ~UINT64_C(7);
}

/* Copies to and from a position, which may go over the end. */
static inline void capture_put(struct capture_ring *ring, uint64_t position, const void *from,
			       uint32_t size)
{
	const uint32_t at = position & (CAPTURE_RING_SIZE - 1);
	const uint32_t first = size < CAPTURE_RING_SIZE - at ? size : CAPTURE_RING_SIZE - at;

	memcpy(ring->bytes + at, from, first);
	memcpy(ring->bytes, (const uint8_t *)from + first, size - first);
}

static inline void capture_get(const struct capture_ring *ring, uint64_t position, void *to,
			       uint32_t size)
{
	const uint32_t at = position & (CAPTURE_RING_SIZE - 1);
	const uint32_t first = size < CAPTURE_RING_SIZE - at ? size : CAPTURE_RING_SIZE - at;

	memcpy(to, ring->bytes + at, first);
	memcpy((uint8_t *)to + first, ring->bytes, size - first);
}

#endif
