/* SPDX-License-Identifier: BSD-3-Clause */
/* See early_frames.h. */
#include "stack/ip/early_frames.h"

#include <stdatomic.h>
#include <string.h>

#include "lwip/pbuf.h"

void early_frames_begin(struct early_frames *early)
{
	atomic_fetch_add(&early->loans, 1);
}

unsigned early_frames_end(struct early_frames *early)
{
	return atomic_fetch_sub(&early->loans, 1) == 1 ? early_frames_free(early) : 0;
}

bool early_frames_keep(struct early_frames *early, struct pbuf *frame)
{
	if (atomic_load(&early->loans) == 0 || early->count == EARLY_FRAMES_MAX)
		return false;
	early->frame[early->count++] = frame;
	return true;
}

void early_frames_move(struct early_frames *early, struct early_frames *to)
{
	memcpy(to->frame, early->frame, early->count * sizeof(early->frame[0]));
	to->count = early->count;
	early->count = 0;
}

unsigned early_frames_free(struct early_frames *early)
{
	const unsigned count = early->count;

	while (early->count)
		pbuf_free(early->frame[--early->count]);
	return count;
}
