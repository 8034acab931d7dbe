/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's environment abstraction layer: started once in a process, with the first link, on the
 * thread that owns DPDK, and cleaned up with the last. Not for devices: see port.c.
 */
#ifndef MELIN_EAL_H
#define MELIN_EAL_H

#include <stddef.h>

#include "dpdk/eal/device.h"
#include "dpdk/eal/control_thread.h"

struct eal_need {
	const struct device *device;
	const char *words; /* MELIN_EAL */
	size_t memory;	   /* bytes that the link will allocate */
};

/*
 * 0 and the thread on which all DPDK calls must run; or a negative errno value and the
 * reason. DPDK cannot be started again after it was cleaned up: -EALREADY then.
 */
int eal_start(const struct eal_need *need, struct control_thread **control, struct reason *reason);
void eal_stop(void);

/*
 * Keeps all memory that DPDK has now from children of fork(): it is the parent's, and copying what
 * the device uses would cost each fork milliseconds. On the control thread.
 */
void eal_keep_memory(void);

/* DPDK's threads have no capabilities from now on, or from very soon. On a program thread. */
void eal_give_up_rights(void);

/* In a forked child: nothing of DPDK is here any more, and never will be. */
void eal_abandon(void);

/* DPDK's text of an error, positive or negative, and its first error line; for a reason. */
void eal_describe(int error, char *text, size_t size);
/* Writes that behind what has failed. Returns the error as a negative errno value. */
int eal_failure(const char *what, int error, struct reason *reason);

#endif
