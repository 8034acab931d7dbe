/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of the benchmark of the stack alone: a copy of the stack whose device is memory that it
 * shares with the other copy. The benchmark loads two of them. Not a part of melin.
 */
#ifndef MELIN_BENCH_END_H
#define MELIN_BENCH_END_H

#include <stdint.h>

#include "stack/stack.h"
#include "tests/link/memory_link.h"

/* What a copy exports under the name bench_end. */
struct end {
	const struct stack_operations *operations;
	struct memory_link *link;
	void (*prepare)(struct memory_queue *queue, unsigned frames);
	void (*alone)(struct stack *stack); /* ends the background thread: who calls polls */

	/* lwIP's raw API with nothing of the socket layer; called as the table's functions are. */
	void (*raw_listen)(struct stack *stack, unsigned port);
	/* Connection number `index`; the ports follow from that. Established after some polls. */
	void (*raw_connect)(struct stack *stack, unsigned index, const char *local,
			    const char *remote, unsigned port);
	/* Sends a request; the other end's answer is counted by raw_answers(). */
	void (*raw_ask)(struct stack *stack, unsigned index, unsigned size);
	uint64_t (*raw_answers)(void);
	unsigned (*raw_established)(void);
};

#endif
