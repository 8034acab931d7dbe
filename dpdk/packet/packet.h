/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Linux interface by packet sockets, in place of a port of DPDK's. With the stack's lock.
 */
#ifndef MELIN_PACKET_H
#define MELIN_PACKET_H

#include "common/reason.h"

struct device_link;

/*
 * Takes the interface of that name for this process. 0, or a negative errno value and the reason,
 * as interface_take(). On a program thread.
 */
int packet_claim(struct device_link *link, const char *name, struct reason *reason);

/*
 * Receives and sends by packet sockets from now on, with the pool that there is. 0, or a negative
 * errno value and the reason, and nothing has changed.
 */
int packet_take_over(struct device_link *link, struct reason *reason);

#endif
