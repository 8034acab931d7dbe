/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options of a received TCP segment, one after the other: RFC 9293 3.1. Not for making good
 * what is malformed among them: filter.c does, before anybody else looks.
 */
#ifndef MELIN_SEGMENT_OPTION_H
#define MELIN_SEGMENT_OPTION_H

#include <stddef.h>
#include <stdint.h>

#include "lwip/priv/tcp_priv.h"

#define SEGMENT_OPTION_END 0
#define SEGMENT_OPTION_NOP 1

/*
 * The option behind this one, NULL: the first. It is whole: its kind is option[0], its length with
 * these two bytes option[1]. NULL: there are no more. Padding is stepped over. The options follow
 * the header in the same buffer: filter.c sees to it.
 */
static inline const uint8_t *segment_option_next(const struct tcp_hdr *header,
						 const uint8_t *option)
{
	const uint8_t *end = (const uint8_t *)header + TCPH_HDRLEN_BYTES(header);

	option = option ? option + option[1] : (const uint8_t *)(header + 1);
	while (option < end && *option == SEGMENT_OPTION_NOP)
		option++;
	if (end - option < 2 || *option == SEGMENT_OPTION_END || option[1] < 2 ||
	    option[1] > end - option)
		return NULL;
	return option;
}

#endif
