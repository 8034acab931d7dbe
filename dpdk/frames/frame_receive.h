/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames from the device to the stack: checksum, VLAN tag, and the pbuf around DPDK's buffer. With
 * the stack's lock.
 */
#ifndef MELIN_FRAME_RECEIVE_H
#define MELIN_FRAME_RECEIVE_H

#include <rte_mbuf.h>

struct device_link;
struct pbuf;

/* Prepares a buffer of the link's pool for receiving; called once, when it has been made. */
void receive_prepare(struct device_link *link, struct rte_mbuf *mbuf);

/* A frame from the device, which may be a chain; NULL: it was not for the stack. */
struct pbuf *receive_take(struct device_link *link, struct rte_mbuf *mbuf);

#endif
