/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Acknowledgements while something is missing among what has been received: as many at once as the
 * peer needs to see it, then few (Linux's tcp_comp_sack), and with them what has come twice (RFC
 * 2883), which lwIP does not tell. Not for acknowledging what is in order: acknowledge.h.
 */
#ifndef MELIN_GAP_H
#define MELIN_GAP_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/tcp.h"

#include "stack/instance/deadline.h"

struct stack_socket;
struct tcp_hdr;

struct gap {
	struct deadline timer; /* for those that were held back */
	bool open;	       /* something is missing */
	bool duplicate;	       /* something has come twice and the peer has not been told: */
	uint8_t said;	       /* acknowledgements that were sent at once */
	uint8_t held;	       /* segments since the last one that have not been acknowledged */
	uint32_t next;	       /* RCV.NXT when said and held were begun */
	uint32_t duplicate_start, duplicate_end;
};

void gap_start(struct stack_socket *socket);
void gap_stop(struct stack_socket *socket);
/* A segment with data has come whose number is not the next; lwIP has not seen it yet. */
void gap_note_received(struct stack_socket *socket, const struct tcp_pcb *pcb,
		       const struct tcp_hdr *header, uint32_t size);
/* lwIP has taken data in order. Returns whether that has closed a gap. */
bool gap_is_filled(struct stack_socket *socket);
/* A segment without data leaves: it acknowledges all that was held back. */
void gap_note_sent(struct stack_socket *socket);

/* In the place of lwIP's tcp_send_empty_ack() when it has received something. */
err_t melin_gap_acknowledge(struct tcp_pcb *pcb);
/* lwip_tcp_out.c: lwIP's own. */
err_t melin_lwip_send_empty_ack(struct tcp_pcb *pcb);

/*
 * Around lwIP's output: puts what has come twice in front of the PCB's blocks, and takes it away.
 */
struct gap_blocks {
	bool changed;
	struct tcp_sack_range ranges[LWIP_TCP_MAX_SACK_NUM];
};
void gap_before_output(struct stack_socket *socket, struct tcp_pcb *pcb, struct gap_blocks *blocks);
void gap_after_output(struct tcp_pcb *pcb, const struct gap_blocks *blocks);

#endif
