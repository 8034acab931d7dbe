/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of dpdk/ share about one link. Nothing outside dpdk/ includes it: link.h is the
 * seam.
 *
 * After link_open() everything here is used under the stack instance's lock, except by close() and
 * abandon(), when nobody else is there.
 */
#ifndef MELIN_LINK_INTERNAL_H
#define MELIN_LINK_INTERNAL_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dpdk/backend.h"
#include "dpdk/eal/device.h"
#include "dpdk/link.h"
#include "dpdk/eal/control_thread.h"
#include "dpdk/frames/sizes.h"
#include "dpdk/xdp/xdp.h"

/* The largest bite of frames that DPDK's drivers take or give at a time. */
#define BURST 64

struct device_link {
	struct link link; /* first: the stack has its address */
	struct link_config config;
	struct stack_config stack; /* config.stack points here: strings are valid at open only */
	struct device device;
	const struct backend *backend;	 /* the device's kind */
	const struct backend *opened_as; /* the same, unless the interface came again */
	struct xdp xdp;			 /* on a Linux interface */
	struct control_thread *control;
	struct link_info info;
	char driver[DEVICE_NAME_MAX];
	int watch;	    /* interface_watch.h; -1 */
	bool gone, is_down; /* the interface */

	/* the port */
	bool has_port;
	bool is_guarded;     /* bursts are: memif_guard.h */
	bool queues_refused; /* that is where the last attempt to open it ended */
	uint16_t port;
	uint16_t queues, rxd, txd;
	uint64_t rx_offloads, tx_offloads;
	struct pool_size size;
	struct rte_mempool *pool;

	/* receiving */
	uint16_t next_queue; /* where the next burst begins, so that each queue gets its turn */
	unsigned held;	     /* buffers whose pbufs are out */

	struct packet *packet;	  /* a packet socket; else NULL, and there is a port */
	struct path_watch *paths; /* of the tap; else NULL */

	/* sending: what the device has not taken yet, in order */
	unsigned queued;
	struct rte_mbuf *queue[TRANSMIT_QUEUE_MAX];
	struct gso *gso; /* another way for bulk; NULL: none */

	struct link_counters counters;
};

/* ---- wait_descriptor.c: on a program thread ---- */

/* Sets info.wait_descriptor, -1 if the device has nothing to wait on. */
int wait_open(struct device_link *link);
void wait_close(struct device_link *link);
/* The device's descriptors are of no use any more; and there is a new one, of the backend's. */
void wait_forget(struct device_link *link);
int wait_again(struct device_link *link);

/* For control_share(): descriptors to sleep on; all that a driver might use with frames. */
bool wait_is_needed(int descriptor);
bool wait_may_be_used(int descriptor);

/* ---- packet.c: with the stack's lock ---- */

/*
 * Receives and sends by packet sockets from now on, with the pool that there is. 0, or a negative
 * errno value and the reason, and nothing has changed.
 */
int packet_take_over(struct device_link *link, struct reason *reason);

/* ---- frame_receive.c ---- */

/* Once for all buffers of the link's pool. */
void receive_prepare_pool(struct device_link *link);

/* A frame from the device, which may be a chain; NULL: it was not for the stack. */
struct pbuf *receive_take(struct device_link *link, struct rte_mbuf *mbuf);

/* ---- frame_transmit.c ---- */

/* Whether a frame is no longer than the link's may be. */
bool transmit_fits(const struct device_link *link, const struct pbuf *frame);
/* Makes mbuf the frame as the device is to send it. False: it does not fit. */
bool transmit_fill(const struct device_link *link, struct rte_mbuf *mbuf, const struct pbuf *frame);
/* Counts a frame that cannot be sent, frees its buffer unless that is NULL, and returns error. */
int transmit_give_up(struct device_link *link, struct rte_mbuf *mbuf, int error);
/*
 * Where all frames go through gso.c: transmit() of link.h, and transmit_by() if interface is not 0.
 */
int transmit_take(struct device_link *link, struct pbuf *frame, unsigned interface);
/* Hands what gso.c has gathered to the kernel; returns how many frames still wait. */
unsigned transmit_gso(struct device_link *link);

#endif
