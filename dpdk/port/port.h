/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that is a port of DPDK's: what all of them go through (port.c, port_frames.c), and a
 * table of what differs between one that a bus or a driver of DPDK's brings (port_bus.c) and a
 * Linux interface by AF_XDP (port_xdp.c). All of it runs on the thread that owns DPDK, except for
 * the frames. Not for devices without a port: packet.h.
 */
#ifndef MELIN_PORT_H
#define MELIN_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ethdev.h>

#include "common/reason.h"

struct device_link;
struct pbuf;

struct port_kind {
	/*
	 * Writes the device in DPDK's words, NAME[,ARGUMENTS]. 0, or a negative errno value and the
	 * reason.
	 */
	int (*describe)(const struct device_link *link, char *text, size_t size,
			struct reason *reason);
	/* Sets link->queues, link->rxd and link->txd. */
	void (*choose_rings)(struct device_link *link, const struct rte_eth_dev_info *info);
	/* Of the IP packet; the device's own limit. */
	unsigned (*mtu_max)(const struct device_link *link, const struct rte_eth_dev_info *info);
	/*
	 * Whether the device has to be told link->info.mtu; and what it has if it does not take
	 * that.
	 */
	bool (*is_mtu_told)(const struct device_link *link);
	int (*current_mtu)(const struct device_link *link, uint16_t *mtu);
	/* The driver may round the rings' sizes. NULL: it does not. */
	int (*adjust_rings)(struct device_link *link);
	/* Flags for pool_open(), and what else the pool must be: 0 or a negative errno value. */
	unsigned (*pool_flags)(const struct device_link *link);
	int (*check_pool)(const struct device_link *link, struct reason *reason);
	/* Right before and after the start. */
	int (*before_start)(struct device_link *link, struct reason *reason);
	void (*started)(const struct device_link *link);
	/* The port is closed. */
	void (*closed)(struct device_link *link);

	bool is_xdp;		    /* for the sizes of the pool: the buffers are AF_XDP's chunks */
	const char *queues_refused; /* one line, when they cannot be set up */
	unsigned attempts;	    /* how often it is tried then, at least 1 */
};

/* struct backend's open() and close(), by the kind of port that it names. */
int port_open(struct device_link *link, struct reason *reason);
void port_close(struct device_link *link);

/* Bytes of the pool for these rings: for struct backend's memory(). */
size_t port_pool_memory(const struct device_link *link, unsigned queues, unsigned rxd, unsigned txd,
			bool is_xdp);

/* ---- port_frames.c: struct backend's operations on frames ---- */

unsigned port_receive(struct device_link *link, struct pbuf **frames, unsigned max);
int port_transmit(struct device_link *link, struct pbuf *frame);
unsigned port_flush(struct device_link *link);
uint64_t port_drops(const struct device_link *link);

#endif
