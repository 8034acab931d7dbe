/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receiving from a packet socket (packet(7), PACKET_VNET_HDR) into the link's buffers: whole frames
 * as the kernel has them, several with a system call. Which socket that is, and what comes by it,
 * is packet.c's and packet_tap.c's.
 */
#ifndef MELIN_PACKET_RECEIVE_H
#define MELIN_PACKET_RECEIVE_H

#include <stdint.h>

#include "dpdk/frames/frame.h"
#include "dpdk/frames/sizes.h"

struct device_link;
struct pbuf;
struct rte_mbuf;
struct virtio_net_hdr;

/* Frames that are taken with a system call; each takes a large segment's buffers. */
#define PACKET_FRAMES	  32 /* a burst of requests */
#define PACKET_FRAMES_MAX 64

/* A pbuf counts its bytes in 16 bits, and the Ethernet header is among them. */
#define PACKET_MTU_MAX (UINT16_MAX - FRAME_HEADER_LENGTH)

/*
 * Packet sockets have no rings: MELIN_RXD and MELIN_TXD are numbers of frames that a system call
 * takes, and of connections (or single frames) that one sends for.
 */
void packet_choose_sizes(struct device_link *link);

/* What the link's pool must have for so many frames with a system call. */
struct pool_need packet_pool_need(unsigned frames);

/*
 * Makes link->packet, which takes link->rxd frames of the socket with a system call. The socket
 * stays the caller's. 0 or -ENOMEM. When the pool is there.
 */
int packet_receive_start(struct device_link *link, int socket);
/* Frees link->packet with its buffers; nothing happens if there is none. */
void packet_receive_stop(struct device_link *link);
/* The same in the child of fork(), where the buffers are not. */
void packet_receive_abandon(struct device_link *link);

/* Of struct backend. */
int packet_wait_descriptor(const struct device_link *link);
unsigned packet_receive(struct device_link *link, struct pbuf **frames, unsigned max);
/*
 * The same. *received: how many frames the kernel had, those that are not for the stack among them.
 */
unsigned packet_receive_counted(struct device_link *link, struct pbuf **frames, unsigned max,
				unsigned *received);
/* Notes what the kernel knows of the checksum of a frame, which has not been on a wire perhaps. */
void packet_mark_checksum(struct rte_mbuf *mbuf, const struct virtio_net_hdr *offload);
uint64_t packet_drops(const struct device_link *link);
/* Counts one more frame that the kernel has not kept whole, and does not count itself. */
void packet_count_missed(struct device_link *link);

#endif
