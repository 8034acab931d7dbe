/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The XDP program on a Linux interface (its text is melin_xdp.c), which DPDK's net_af_xdp loads:
 * what the driver leaves to be done. Frames and sockets are the driver's, the interface itself is
 * interface/interface.h's.
 */
#ifndef MELIN_XDP_INTERFACE_H
#define MELIN_XDP_INTERFACE_H

#include "common/reason.h"
#include "common/stack_config.h"
#include "dpdk/eal/control_thread.h"
#include "dpdk/interface/interface.h"

/*
 * After the driver has loaded the program: tells it the stack's addresses and VLAN. On the control
 * thread.
 */
int xdp_configure(const struct interface *interface, struct control_thread *control,
		  const struct stack_config *config, struct reason *reason);

/*
 * Closes what the driver leaves open of the program, its maps and the sockets when it has closed
 * the port. On the control thread.
 */
void xdp_close_descriptors(struct control_thread *control);

/*
 * Takes an XDP program off the interface that a dead process of melin's has left there. 0, or
 * -EBUSY and the reason: there is another program. The interface is taken for this process.
 */
int xdp_remove_stale(const struct interface *interface, struct reason *reason);

#endif
