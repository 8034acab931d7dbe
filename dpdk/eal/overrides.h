/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps DPDK's start from what a guest in somebody else's process must not do, or has no time for,
 * and has no option against.
 */
#ifndef MELIN_OVERRIDES_H
#define MELIN_OVERRIDES_H

#include <stdbool.h>

struct overrides {
	const char *library; /* of the driver, NULL if it is not known */
	bool search;	     /* other drivers are needed too: all of the driver folder */
	bool software;	     /* no network card: nobody needs the delays of hardware */
	bool private_memory; /* nobody else maps DPDK's memory */
	bool own_table;	     /* of descriptors: control_thread.h */
};

/* Before rte_eal_init(). What cannot be replaced stays as DPDK does it. */
void overrides_prepare(const struct overrides *overrides);

/* After the start: whether DPDK's memory is this process's own, so that a child has a copy. */
bool overrides_memory_is_private(void);

/*
 * Takes the XDP program off its interface, whatever has become of that, before the driver does: its
 * sockets are dead. On the control thread.
 */
void overrides_release_xdp(void);

#endif
