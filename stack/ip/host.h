/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The network of an instance that borrows connections from the kernel: no addresses, no neighbours,
 * no routes. Each connection has its path; what belongs to none of them is neither sent nor
 * answered. Not for instances with addresses: network.h.
 */
#ifndef MELIN_HOST_H
#define MELIN_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/netif.h"

#include "stack/ip/early_frames.h"

struct link_path_news;
struct pbuf;
struct reason;
struct stack;
struct stack_socket;
struct tcp_pcb;

struct host {
	bool borrows; /* the instance has a tap; fixed after open() */
	struct netif netif;
	const struct stack_socket *sender; /* whose segment is being sent; NULL: nobody's */
	struct early_frames early;
	_Atomic uint32_t path_changes; /* there were so many news; it wraps */
	uint64_t next_attend;	       /* when the link is looked after although it is busy; ns */
};

/* Makes the one interface. 0, or -ENOMEM and the reason. */
int host_start(struct stack *stack, struct reason *reason);
void host_stop(struct stack *stack);

/* One received frame; takes it over. */
void host_input(struct stack *stack, struct pbuf *frame);

/* Takes in what came early for a connection that is here now. */
void host_input_early(struct stack *stack);

/* link_config.path_changed; context is the stack. */
void host_path_changed(void *context, const struct link_path_news *news);

/* Whether it is time to look what has become of the paths, in spite of all the frames. */
bool host_should_attend(struct stack *stack);

#endif
