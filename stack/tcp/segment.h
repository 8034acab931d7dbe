/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of the segment checks that others call; the hooks themselves are in lwip_hooks.h.
 */
#ifndef MELIN_SEGMENT_H
#define MELIN_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

struct stack_socket;

struct segments {
	uint64_t outside_answered; /* ms: the last answer to a bare segment outside the window */
	unsigned out_of_order;	   /* segments that lwIP holds back until earlier ones come */
	bool no_answer;		   /* to the segment that is being received */
};

#endif
