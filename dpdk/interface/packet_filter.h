/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which frames of an interface are the stack's, as a classic BPF program: those to its addresses,
 * and the ARP and neighbour solicitations that ask for them; none of a VLAN. What xdp/melin_xdp.c
 * is for AF_XDP. And the same at the interface's ingress, where the kernel is told to drop them.
 */
#ifndef MELIN_FILTER_H
#define MELIN_FILTER_H

#include <linux/filter.h>
#include <stdint.h>

#include "common/stack_config.h"

/* For each address of IPv6 28 instructions, of IPv4 ten; and seven for all. */
#define FILTER_MAX (7 + STACK_ADDRESSES_MAX * 28)

struct filter {
	unsigned short count;
	struct sock_filter code[FILTER_MAX];
};

/* What the program gives for the stack's frames, and for others. */
void filter_build(struct filter *filter, const struct stack_config *config, uint32_t ours,
		  uint32_t others);

/*
 * Has the kernel drop the stack's frames at the ingress of an interface, behind the packet
 * sockets: tc-bpf(8), in a queueing discipline (clsact) that stays when the filter goes. 0 or a
 * negative errno value.
 */
int filter_ingress_add(int ifindex, const struct stack_config *config);

/* Removes also the filter that a process which was killed has left behind. */
void filter_ingress_remove(int ifindex);

#endif
