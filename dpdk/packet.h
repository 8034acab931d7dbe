/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device "packet:NAME": a Linux interface by packet sockets (packet(7)), where the frames that
 * the kernel has not cut, or has put together (TSO, GRO), come and go whole. Receiving, and keeping
 * the kernel off what is received; sending is large.c's. Not for other devices.
 */
#ifndef MELIN_PACKET_H
#define MELIN_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "stack/stack.h"

struct link;
struct packet;
struct pbuf;

/*
 * When the pool is there. 0, or a negative errno value and one line in why. frames: how many are
 * taken with a system call, at most PACKET_FRAMES_MAX. On a program thread.
 */
#define PACKET_FRAMES	  32 /* a burst of requests; each takes a large segment's buffers */
#define PACKET_FRAMES_MAX 64
int packet_open(struct link *link, unsigned frames, char *why, size_t why_size);
void packet_close(struct packet *packet);

/* In the child of fork(): the parent's filter stays. */
void packet_abandon(struct packet *packet);

/* Buffers that wait for frames, for the size of the pool. */
unsigned packet_buffers(unsigned frames);

/* link.h's link_receive(), packet.c's part of it. */
unsigned packet_receive(struct link *link, struct pbuf **frames, unsigned max);

/* Readable when frames wait. */
int packet_descriptor(const struct packet *packet);

/* Frames that the socket had no room for, since the start. */
uint64_t packet_drops(struct packet *packet);

#endif
