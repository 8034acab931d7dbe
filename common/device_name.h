/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The form of MELIN_DEV: what kind of device a text names, and which part of it is the name. Read
 * by preload/, which tells the user of mistakes, and by dpdk/, which opens the device. Looks at the
 * text only: whether there is such a device is found out when it is opened.
 */
#ifndef MELIN_DEVICE_NAME_H
#define MELIN_DEVICE_NAME_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Bytes of a device's name with its end; RTE_DEV_NAME_MAX_LEN: longer ones do not fit DPDK's
 * tables.
 */
#define DEVICE_NAME_MAX 64

enum device_kind {
	DEVICE_LOOP,	  /* loop: no device, flows within the process */
	DEVICE_INTERFACE, /* veth0: melin's own use of net_af_xdp */
	DEVICE_PACKET,	  /* packet:veth0: the same interface by packet sockets */
	DEVICE_PCI,	  /* 0000:03:00.0[,driver arguments] */
	DEVICE_VDEV,	  /* net_memif0,role=client,... in DPDK's own words */
	DEVICE_TAP,	  /* has no name: stack_config.tap */
};

struct device_name {
	enum device_kind kind;
	/* Up to the first comma; a PCI address with its domain; of "packet:veth0" the interface. */
	char name[DEVICE_NAME_MAX];
	const char *arguments; /* into the text, behind the first comma; "" if there is none */
};

/* Returns false if text has none of these forms. text must live as long as result does. */
bool device_name_parse(const char *text, struct device_name *result);

#endif
