/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the checks of segments (segment.c) keep, for the instance and for each connection. Not for
 * the hooks themselves: lwip_hooks.h.
 */
#ifndef MELIN_SEGMENT_H
#define MELIN_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

struct stack_socket;

/* Of an instance: challenge ACKs (RFC 5961 section 7) in this tick of lwIP's slow timer. */
struct challenges {
	uint32_t tick;
	unsigned count;
};

/* RFC 9293 3.10.7.1: what a reset carries when it answers a segment. */
enum reset_form {
	RESET_OF_OUR_OWN,
	RESET_FOR_ACK,	   /* <SEQ=SEG.ACK><CTL=RST> */
	RESET_WITHOUT_ACK, /* <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK> */
};

/* Of a connection. */
struct segments {
	uint64_t outside_answered; /* ms: the last answer to a bare segment outside the window */
	unsigned out_of_order;	   /* segments that lwIP holds back until earlier ones come */
	bool no_answer;		   /* the segment that is being received gets no acknowledgement */
};

#endif
