/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kinds of device that MELIN_DEV can name do differently: a table of operations for each.
 * link.c goes through the life of a link with it. Not for what differs between ports of DPDK only:
 * port.h.
 */
#ifndef MELIN_BACKEND_H
#define MELIN_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dpdk/eal/device.h"
#include "dpdk/link.h"

struct device_link;
struct pbuf;
struct port_kind;

struct backend {
	/*
	 * Takes the device for this process. 0, or a negative errno value and the reason.
	 * NULL: DPDK itself sees to that. On a program thread.
	 */
	int (*claim)(struct device_link *link, struct reason *reason);

	/*
	 * Bytes that the pool will take, for EAL's start, before anything is known of the device.
	 */
	size_t (*memory)(const struct device_link *link);
	/*
	 * Whether the process may have them: 0, or a negative errno value and the reason. NULL:
	 * whoever may use the device may have them.
	 */
	int (*check_memory)(const struct device_link *link, size_t memory, struct reason *reason);

	/* What is special about the port of DPDK's that the device is. NULL: it is none. */
	const struct port_kind *port;
	/* Make and start the device and its pool, and undo it. On the thread that owns DPDK. */
	int (*open)(struct device_link *link, struct reason *reason);
	void (*close)(struct device_link *link);

	/*
	 * The sockets of our own beside DPDK, and how they are closed; abandon() is for the child
	 * of fork(), where what they have set in the kernel is the parent's. On a program thread.
	 * NULL: there are none.
	 */
	int (*open_sockets)(struct device_link *link, struct reason *reason);
	void (*close_sockets)(struct device_link *link);
	void (*abandon_sockets)(struct device_link *link);
	/* Takes away what would outlive the process, which a signal is about to end. Or NULL. */
	void (*leave)(struct device_link *link);

	/* Which of DPDK's descriptors the program's table needs: see control_share(). */
	bool (*needs_descriptor)(int descriptor);
	/* The descriptor of our own that is readable when frames wait. NULL: one of DPDK's is. */
	int (*wait_descriptor)(const struct device_link *link);

	/* As in link.h. */
	unsigned (*receive)(struct device_link *link, struct pbuf **frames, unsigned max);
	int (*transmit)(struct device_link *link, struct pbuf *frame);
	int (*transmit_by)(struct device_link *link, struct pbuf *frame, unsigned interface);
	unsigned (*flush)(struct device_link *link);

	int (*renew)(struct device_link *link, int tap); /* as in link.h; or NULL */

	/* Looks what has become of the device. NULL: as for an interface (interface_watch.h). */
	enum link_news (*attend)(struct device_link *link);

	/* Frames that the device had no room for, since the start. */
	uint64_t (*drops)(const struct device_link *link);
};

/* Never NULL. Where the build is without XDP, its claim() says so. */
const struct backend *backend_of(enum device_kind kind);

/* port_xdp.c, packet.c, packet_tap.c, port_bus.c */
extern const struct backend backend_interface;
extern const struct backend backend_packet;
extern const struct backend backend_tap;
extern const struct backend backend_bus;

#endif
