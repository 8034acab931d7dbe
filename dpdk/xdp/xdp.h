/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Linux interface for AF_XDP: whether it can be used and by whom, and the XDP program on it (its
 * text is xdp/melin_xdp.c). Frames and sockets are DPDK's net_af_xdp.
 */
#ifndef MELIN_XDP_INTERFACE_H
#define MELIN_XDP_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/reason.h"
#include "common/stack_config.h"
#include "dpdk/eal/control_thread.h"

struct xdp {
	char name[IF_NAMESIZE];
	int ifindex;
	unsigned mtu;
	unsigned channels;	 /* queue pairs that net_af_xdp can have */
	unsigned receive_queues; /* that the interface really has */
	bool is_virtual;	 /* veth and the like: no hardware, frames are copied */
	unsigned char mac[6];
	int lock;      /* the claim (interface_claim.h); -1 */
	int probes[2]; /* sockets for answers, IPv4's and IPv6's; -1 */
};

/*
 * Looks at the interface and takes it for this process, for AF_XDP or for packet sockets. 0, or a
 * negative errno value and the reason: -ENODEV, -EPERM, -EBUSY (another process has it, or
 * for AF_XDP a foreign XDP program), -EADDRINUSE (an address of the stack's is the kernel's). On a
 * program thread.
 */
int xdp_claim(struct xdp *xdp, const char *name, bool by_packets, const struct stack_config *config,
	      struct reason *reason);
/* What of this can be told without taking it. Any thread. */
int xdp_check(const char *name, bool by_packets, const struct stack_config *config,
	      struct reason *reason);
void xdp_release(struct xdp *xdp);

/*
 * Asks the network for the stack's addresses; and, some time later, whether somebody has answered:
 * 0, or -EADDRINUSE and the reason. On a program thread.
 */
void xdp_probe(struct xdp *xdp, const struct stack_config *config);
int xdp_probe_end(struct xdp *xdp, const struct stack_config *config, struct reason *reason);

/* Whether this process may lock the memory that each queue shares with the kernel: 0 or -EPERM. */
int xdp_check_memory(const struct xdp *xdp, size_t memory, unsigned queues, struct reason *reason);

/*
 * After the driver has loaded the program: tells it the stack's addresses and VLAN. On the control
 * thread.
 */
int xdp_configure(const struct xdp *xdp, struct control_thread *control,
		  const struct stack_config *config, struct reason *reason);

/*
 * Closes what the driver leaves open of the program, its maps and the sockets when it has closed
 * the port. On the control thread.
 */
void xdp_close_descriptors(struct control_thread *control);

#endif
