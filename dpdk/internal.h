/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of dpdk/ share about one link. Nothing outside dpdk/ includes it: link.h is the
 * seam.
 *
 * After link_open() everything here is used under the stack instance's lock, except by
 * link_close() and link_abandon(), when nobody else is there.
 */
#ifndef MELIN_LINK_INTERNAL_H
#define MELIN_LINK_INTERNAL_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "device.h"
#include "link.h"
#include "owner.h"
#include "sizes.h"
#include "xdp.h"

/* The largest bite of frames that DPDK's drivers take or give at a time. */
#define BURST 64

struct link {
	struct link_config config;
	struct stack_config stack; /* config.stack points here: strings are valid at open only */
	struct device device;
	struct xdp xdp; /* on a Linux interface */
	struct owner *owner;
	struct link_info info;
	char driver[DEVICE_NAME_MAX];

	/* the port */
	bool has_port;
	bool is_guarded;     /* bursts are: guard.h */
	bool queues_refused; /* that is where the last attempt to open it ended */
	uint16_t port;
	uint16_t queues, rxd, txd;
	uint64_t rx_offloads, tx_offloads;
	struct pool_size size;
	struct rte_mempool *pool;

	/* receiving */
	uint16_t next_queue; /* where the next burst begins, so that each queue gets its turn */
	unsigned held;	     /* buffers whose pbufs are out */

	struct packet *packet; /* the device is "packet:NAME"; else NULL, and there is a port */

	/* sending: what the device has not taken yet, in order */
	unsigned queued;
	struct rte_mbuf *queue[TRANSMIT_QUEUE_MAX];
	struct large *large; /* another way for bulk; NULL: none */

	struct link_counters counters;
};

/* ---- port.c: on the owner's thread ---- */

/* What the pool will take, for EAL's start, before anything is known of the port. */
size_t port_memory(const struct link *link);
int port_open(struct link *link, char *why, size_t why_size);
void port_close(struct link *link);

/* ---- wait.c: on a program thread ---- */

/* Sets info.wait_descriptor, -1 if the device has nothing to wait on. */
int wait_open(struct link *link);
void wait_close(struct link *link);

/* For owner_share(): descriptors to sleep on; all that a driver might use with frames. */
bool wait_is_needed(int descriptor);
bool wait_may_be_used(int descriptor);

/* ---- receive.c ---- */

void receive_prepare_pool(struct link *link);

/* A frame from the device, which may be a chain; NULL: it was not for the stack. */
struct pbuf *receive_take(struct link *link, struct rte_mbuf *mbuf);

#endif
