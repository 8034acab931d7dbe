/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What follows from the name of a device alone (common/device_name.h): its driver, and what that is
 * known for. Looks at the text only, never at the machine.
 */
#ifndef MELIN_DEVICE_H
#define MELIN_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/device_name.h"
#include "common/reason.h"

#define DEVICE_XDP_LIBRARY   "librte_net_af_xdp.so"
#define DEVICE_TAP_LIBRARY   "librte_net_tap.so"
#define DEVICE_MEMIF_LIBRARY "librte_net_memif.so"

/* Where a library is to be named so that no others are searched for: what the pool needs anyway. */
#define DEVICE_NO_DRIVER "librte_mempool_stack.so"

struct device {
	enum device_kind kind;
	char name[DEVICE_NAME_MAX]; /* this and the next as in struct device_name */
	const char *arguments;
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

/* For stack_config.tap. */
void device_of_tap(struct device *device);

/* 0, or -EINVAL with the reason. text must live as long as device does. */
int device_parse(const char *text, struct device *device, struct reason *reason);

#endif
