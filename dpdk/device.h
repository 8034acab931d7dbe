/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads MELIN_DEV: is it a Linux interface, a PCI address or a DPDK vdev string, and what follows
 * from that alone. Looks at the text only, never at the machine.
 */
#ifndef MELIN_DEVICE_H
#define MELIN_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#define DEVICE_NAME_MAX 64 /* RTE_DEV_NAME_MAX_LEN: longer names do not fit DPDK's tables */

#define DEVICE_XDP_LIBRARY   "librte_net_af_xdp.so"
#define DEVICE_TAP_LIBRARY   "librte_net_tap.so"
#define DEVICE_MEMIF_LIBRARY "librte_net_memif.so"

/* Where a library is to be named so that no others are searched for: what the pool needs anyway. */
#define DEVICE_NO_DRIVER "librte_mempool_stack.so"

enum device_kind {
	DEVICE_INTERFACE, /* veth0: melin's own use of net_af_xdp */
	DEVICE_PACKET,	  /* packet:veth0: the same interface by packet sockets */
	DEVICE_PCI,	  /* 0000:03:00.0[,driver arguments] */
	DEVICE_VDEV,	  /* net_memif0,role=client,... in DPDK's own words */
};

struct device {
	enum device_kind kind;
	/* up to the first comma; a PCI address with its domain; the interface alone */
	char name[DEVICE_NAME_MAX];
	const char *arguments; /* what follows the first comma, "" if nothing */
	/* A kernel of this machine may be at the other end, and leave checksums unfinished. */
	bool kernel_peer;
	/* The driver's library without its version, NULL if it is to be searched for. */
	const char *library;
	/*
	 * The driver makes descriptors after the start (net_memif, when its peer comes) and uses
	 * them where frames are handled: they must be in the program's own table.
	 */
	bool late_descriptors;
};

/* 0, or -EINVAL with one line in why. text must live as long as device does. */
int device_parse(const char *text, struct device *device, char *why, size_t why_size);

#endif
