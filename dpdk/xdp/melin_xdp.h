/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the XDP program (melin_xdp.c) and the code that configures it (dpdk/xdp/xdp.c) agree on:
 * names, sizes and layouts of the maps. Included by both, so nothing but Linux's fixed-width
 * types.
 */
#ifndef MELIN_XDP_H
#define MELIN_XDP_H

#include <linux/types.h>

/* As the kernel shows them (15 characters at most): by these the maps and a program left over
 * by a process that was killed are recognised. */
#define MELIN_XDP_PROGRAM  "melin_xdp"
#define MELIN_XDP_SETTINGS "melin_settings"
#define MELIN_XDP_ADDRESS4 "melin_address4"
#define MELIN_XDP_ADDRESS6 "melin_address6"

#define MELIN_XDP_OBJECT "melin_xdp.o" /* the file, beside melin-stack.so */

#define MELIN_XDP_QUEUES_MAX	64 /* more channels than any device melin was tried on */
#define MELIN_XDP_ADDRESSES_MAX 8  /* STACK_ADDRESSES_MAX; dpdk/xdp/xdp.c checks that they agree */

struct melin_xdp_settings {
	__u32 vlan; /* 0: untagged frames only; else only frames of this VLAN */
};

struct melin_xdp_address4 {
	__u8 bytes[4];
};

struct melin_xdp_address6 {
	__u8 bytes[16];
};

#endif
