/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Linux interface that the stack uses beside the kernel, by AF_XDP or by packet sockets: what it
 * is like, whether this process may use it, the claim that keeps other melin processes off it, and
 * whether somebody else on its network has one of the stack's addresses. Not for frames, and not
 * for the XDP program: xdp/xdp.h.
 */
#ifndef MELIN_INTERFACE_H
#define MELIN_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/reason.h"
#include "common/stack_config.h"

struct interface {
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
 * negative errno value and the reason: -ENODEV, -EPERM, -EBUSY (another process has it),
 * -EADDRINUSE (an address of the stack's is the kernel's). On a program thread.
 */
int interface_take(struct interface *interface, const char *name, bool by_packets,
		   const struct stack_config *config, struct reason *reason);
/* What of this can be told without taking it. Any thread. */
int interface_check(const char *name, bool by_packets, const struct stack_config *config,
		    struct reason *reason);
void interface_release(struct interface *interface);
/* netdevice(7), by any socket: 0 or a negative errno value. */
int interface_ask(int socket, unsigned long request, struct ifreq *ifr);

/*
 * Asks the network for the stack's addresses, when no program of another process's can take the
 * answers away any more (xdp_remove_stale()); and, some time later, whether somebody has answered:
 * 0, or -EADDRINUSE and the reason. On a program thread.
 */
void interface_probe(struct interface *interface, const struct stack_config *config);
int interface_probe_end(struct interface *interface, const struct stack_config *config,
			struct reason *reason);

/* Whether this process may lock the memory that each queue shares with the kernel: 0 or -EPERM. */
int interface_check_memory(const struct interface *interface, size_t memory, unsigned queues,
			   struct reason *reason);

#endif
