/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a stack and its device are configured with. preload/config/ writes it from the MELIN_
 * variables; stack/ and dpdk/ read it. Not for what preload/ alone uses: preload/config/config.h.
 */
#ifndef MELIN_STACK_CONFIG_H
#define MELIN_STACK_CONFIG_H

#include <stdbool.h>

#include "common/ip_address.h"

#define STACK_ADDRESSES_MAX 8 /* MELIN_ADDR entries; more is the user's mistake */

/* All strings and arrays belong to the caller and are copied or done with when open() returns. */
struct stack_config {
	/*
	 * MELIN_DEV: "loop", an interface, a PCI address or a vdev string. NULL: the instance is
	 * for connections that it borrows from the kernel by adopt(), and has tap instead. It has
	 * no addresses then and answers nothing; it sends segments of these connections, without
	 * SYN, FIN and RST, and nothing else. Of the fields below eal, rxd, txd, mbufs,
	 * gives_up_rights and module_directory count then.
	 */
	const char *device;
	/*
	 * The packet socket (packet(7), PACKET_VNET_HDR, non-blocking) on which exactly the frames
	 * of the borrowed connections come in, of whatever interfaces, and by which they leave. It
	 * stays the caller's, who keeps it open until close() or abandon() has returned. Not used
	 * (-1 by convention) where there is a device.
	 */
	int tap;
	/*
	 * With a tap: a socket that becomes readable when the host's firewall changes, whose rules
	 * borrowed connections pass by; or -1. It is the stack's from open() on.
	 */
	int rules;
	unsigned address_count;
	struct ip_address addresses[STACK_ADDRESSES_MAX];
	struct ip_address gateway4; /* family 0: none */
	struct ip_address gateway6;
	/* 0 in each of these: not set, the device's or a computed value is used */
	unsigned mtu;	 /* bytes of the IP packet */
	unsigned vlan;	 /* 802.1Q id, 1..4094 */
	unsigned queues; /* receive and transmit queue pairs */
	unsigned rxd;	 /* receive descriptors a queue */
	unsigned txd;	 /* transmit descriptors a queue */
	unsigned mbufs;	 /* packet buffers in the pool */
	const char *eal; /* further EAL arguments, shell-like words, or NULL */
	/*
	 * The caller has capabilities that the program has given up: threads that the stack starts
	 * have none when the device is open.
	 */
	bool gives_up_rights;
	const char *module_directory; /* where melin-stack.so and its XDP program lie */
};

#endif
