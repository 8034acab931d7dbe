/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tap's ring (packet(7), PACKET_RX_RING): memory that the kernel writes short frames to, so
 * that to look for one is to read a word, and to take one costs no system call. Longer frames only
 * have their place in the ring; they come by packet_receive.h's calls, in the same order. Not for
 * sockets that are bound to an interface: whether that goes down only calls tell.
 */
#ifndef MELIN_PACKET_RING_H
#define MELIN_PACKET_RING_H

struct device_link;
struct pbuf;

/*
 * Makes link->ring on the socket of link->packet, and drops what the socket has received by now.
 * Where that cannot be link->ring stays NULL, and all frames come by calls.
 */
void packet_ring_open(struct device_link *link);
/* Nothing happens without a ring. The socket has the memory, too, until it is closed. */
void packet_ring_close(struct device_link *link);
/* The same in the child of fork(), which does not have the memory. */
void packet_ring_abandon(struct device_link *link);

/* As packet_receive(), whether there is a ring or not. */
unsigned packet_ring_receive(struct device_link *link, struct pbuf **frames, unsigned max);

#endif
