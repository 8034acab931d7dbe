/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the segment hooks and output.c.
 */
#ifndef MELIN_OUTPUT_H
#define MELIN_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

struct stack_socket;
struct tcp_pcb;

/* A segment leaves; again: it has been sent before. */
void output_note_segment(struct stack_socket *socket, const struct tcp_pcb *pcb, uint32_t sequence,
			 uint32_t size, bool again);

#endif
