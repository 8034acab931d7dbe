/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that came while their connection was held: read from the ring that tap_program.c writes
 * to, and sorted by connection. Under tap_socket.c's lock, but for kept_any().
 */
#ifndef MELIN_KEPT_FRAMES_H
#define MELIN_KEPT_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/tap_program.h"

/*
 * About 500 frames, or 14 of the longest that GRO makes: more than come in the microseconds for
 * which connections are held.
 */
#define KEPT_RING_BYTES (1 << 20)

struct kept_frame {
	struct kept_frame *next;
	struct tap_kept kept; /* its last bytes are missing where the frame is shorter */
};

int kept_open(int ring); /* maps the ring; 0 or a negative errno value */
void kept_close(void);
void kept_abandon(void); /* in the child of a fork, which has no such memory */

/* Whether a frame may be kept for anybody. Without the lock. */
bool kept_any(void);

/*
 * Takes out the frames of the entry that the token names, the earliest first. They are the
 * caller's, for kept_free().
 */
struct kept_frame *kept_take(uint64_t token);
void kept_free(struct kept_frame *list);

#endif
