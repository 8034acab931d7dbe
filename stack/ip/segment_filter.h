/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is looked at of a TCP segment before lwIP sees it: lengths and options. Not for what needs a
 * connection's state: stack/events/segment.c.
 */
#ifndef MELIN_SEGMENT_FILTER_H
#define MELIN_SEGMENT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether a segment of size bytes, of which the first in_buffer are at hand, has a complete header.
 * May change options in place, so that lwIP's parser stays within them.
 */
bool filter_segment(uint8_t *tcp, unsigned in_buffer, unsigned size);

#endif
