/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link to a device: what the files of dpdk/ share about it. Nothing outside dpdk/ includes it:
 * link.h is the seam. The headings say which files use which fields.
 *
 * After link_open() everything here is used under the stack instance's lock, except by close() and
 * abandon(), when nobody else is there.
 */
#ifndef MELIN_DEVICE_LINK_H
#define MELIN_DEVICE_LINK_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dpdk/backend.h"
#include "dpdk/eal/device.h"
#include "dpdk/link.h"
#include "dpdk/eal/control_thread.h"
#include "dpdk/frames/sizes.h"
#include "dpdk/interface/interface.h"

/* The largest bite of frames that DPDK's drivers take or give at a time. */
#define BURST 64

struct device_link {
	struct link link; /* first: the stack has its address */
	struct link_config config;
	struct stack_config stack; /* config.stack points here: strings are valid at open only */
	struct device device;
	const struct backend *backend;	 /* the device's kind */
	const struct backend *opened_as; /* the same, unless the interface came again */
	struct interface interface;	 /* if the device is one of Linux's */
	struct control_thread *control;
	struct link_info info;
	char driver[DEVICE_NAME_MAX];
	int watch;	    /* interface_watch.h; -1 */
	int rules;	    /* stack_config.rules, of the tap; -1 */
	bool gone, is_down; /* of the Linux interface, as interface_watch.c has seen it last */

	/* the port */
	bool has_port;
	bool is_guarded;     /* its bursts are guarded: memif_guard.h */
	bool queues_refused; /* the last attempt to open it failed at setting up its queues */
	uint16_t port;
	uint16_t queues, rxd, txd;
	uint64_t rx_offloads, tx_offloads;
	struct pool_size size;
	struct rte_mempool *pool;
	bool grows; /* pool_take() makes buffers */

	/* receiving */
	uint16_t next_queue; /* where the next burst begins, so that each queue gets its turn */
	unsigned held;	     /* buffers whose pbufs are out */

	struct packet *packet;	  /* a packet socket; else NULL, and there is a port */
	struct packet_ring *ring; /* of the tap, if there is one; else NULL */
	struct path_watch *paths; /* of the tap; else NULL */

	/* sending: what the device has not taken yet, in order */
	unsigned queued;
	struct rte_mbuf *queue[TRANSMIT_QUEUE_MAX];
	struct gso *gso; /* another way for bulk; NULL: none */

	struct link_counters counters;
};

#endif
