/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's environment abstraction layer: started once in a process, with the first link, on the
 * thread that owns DPDK, and cleaned up with the last. The child of a fork may have a copy of it
 * that it can go on with. Not for devices: see port.c.
 */
#ifndef MELIN_EAL_H
#define MELIN_EAL_H

#include <stdbool.h>
#include <stddef.h>

#include "dpdk/eal/device.h"
#include "dpdk/eal/control_thread.h"

struct eal_need {
	const struct device *device;
	const char *words; /* MELIN_EAL */
	size_t memory;	   /* bytes that the link will allocate */
};

/*
 * Starts DPDK, if this is the first link. 0 and the thread on which all DPDK calls must run; or a
 * negative errno value and the reason. DPDK cannot be started again after it was cleaned up:
 * -EALREADY then.
 */
int eal_start(const struct eal_need *need, struct control_thread **control, struct reason *reason);
void eal_stop(void);

/*
 * Keeps all memory that DPDK has now from children of fork(): it is the parent's, and copying what
 * the device uses would cost each fork milliseconds. On the control thread. Not for a device whose
 * memory children have copies of: eal_is_copied().
 */
void eal_keep_memory(void);

/*
 * Whether a child of fork() has a copy of DPDK, as it was at the fork and without its threads, with
 * which eal_start() goes on in the child. It has one for the tap: all of its memory is the
 * process's own, nothing in it is known to a device, and no thread of DPDK's is needed. To be asked
 * after the start.
 */
bool eal_is_copied(void);

/* DPDK's threads have no capabilities from now on, or from very soon. On a program thread. */
void eal_give_up_rights(void);

/* In a forked child: nobody uses DPDK here. If it is not copied, nobody ever will. */
void eal_abandon(void);
/*
 * Writes what has failed, DPDK's text of the error and the first line that DPDK has said about it.
 * Returns the error as a negative errno value.
 */
int eal_failure(const char *what, int error, struct reason *reason);

#endif
