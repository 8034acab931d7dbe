/* SPDX-License-Identifier: BSD-3-Clause */
/* See segment_filter.h. */
#include "stack/ip/segment_filter.h"

#include <string.h>

#include "common/network_order.h"

#define TCP_SIZE 20

/*
 * Walks the options as Linux does, which ignores what follows a malformed one. Here that is
 * overwritten in the segment, since lwIP would read past the end. An MSS that would make a frame of
 * each byte is raised, as by Linux's tcp_min_snd_mss. An MSS counts in a SYN only (RFC 9293 3.2),
 * but lwIP takes it from any segment, even while it holds longer ones: so it is overwritten
 * elsewhere.
 */
static void mend_tcp_options(uint8_t *options, unsigned size, bool syn)
{
	const unsigned smallest_mss = 88;
	const unsigned default_mss = 536;
	unsigned at = 0;

	while (at < size) {
		unsigned length;

		if (options[at] == 0)
			return;
		if (options[at] == 1) {
			at++;
			continue;
		}
		length = at + 1 < size ? options[at + 1] : 0;
		if (length < 2 || at + length > size) {
			memset(options + at, 0, size - at);
			return;
		}
		if (options[at] == 2 && !syn) {
			memset(options + at, 1, length);
		} else if (options[at] == 2 && length == 4 &&
			   bytes_read16(options + at + 2) < smallest_mss) {
			unsigned mss = bytes_read16(options + at + 2) ? smallest_mss : default_mss;

			options[at + 2] = (uint8_t)(mss >> 8);
			options[at + 3] = (uint8_t)mss;
		}
		at += length;
	}
}

bool filter_segment(uint8_t *tcp, unsigned in_buffer, unsigned size)
{
	unsigned header;

	if (in_buffer < TCP_SIZE || size < TCP_SIZE)
		return false;
	header = (tcp[12] >> 4) * 4u;
	if (header < TCP_SIZE || header > size || header > in_buffer)
		return false;
	mend_tcp_options(tcp + TCP_SIZE, header - TCP_SIZE, tcp[13] & 2);
	return true;
}
