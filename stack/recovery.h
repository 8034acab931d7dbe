/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery from loss by selective acknowledgements. lwIP sends SACK but ignores it when it comes,
 * and its own fast retransmit mends one hole for each timeout; and it does not count an
 * acknowledgement as a duplicate when the window has moved, which Linux's does all the time. For
 * peers without SACK lwIP's way remains.
 */
#ifndef MELIN_RECOVERY_H
#define MELIN_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/err.h"

struct stack_socket;
struct tcp_seg;
struct tcp_hdr;
struct tcp_pcb;

struct recovery {
	bool active;
	uint32_t end;	       /* active until this is acknowledged */
	uint32_t window;       /* the congestion window meanwhile */
	uint32_t sacked;       /* bytes of ->unacked that the peer holds */
	uint32_t lost;	       /* segments of it that are marked lost and not sent again */
	bool rack_known;       /* the next two have been set */
	uint32_t rack_us;      /* when the newest delivered segment was sent */
	uint32_t rack_end;     /* and its end */
	uint32_t least_rtt_us; /* 0: not measured */
	uint32_t rtt_us, rtt_deviation_us; /* smoothed as in RFC 6298, for TCP_INFO */
};

/* An acceptable acknowledgement has come; lwIP has not seen it yet. */
void recovery_acknowledged(struct stack_socket *socket, const struct tcp_hdr *header);
/* Sends again what is lost, as the window allows, and lets lwIP know how much new data may go. */
void recovery_before_output(struct stack_socket *socket, struct tcp_pcb *pcb);
void recovery_after_output(struct stack_socket *socket, struct tcp_pcb *pcb);
/* From the timer: segments that only reordering would excuse have had their time. */
void recovery_check(struct stack_socket *socket);

/* lwip-tcp-out.c: sends a segment of ->unacked again, in its place. */
err_t melin_lwip_retransmit(struct tcp_pcb *pcb, struct tcp_seg *segment);

#endif
