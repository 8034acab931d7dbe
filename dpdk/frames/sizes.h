/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many packet buffers a link needs and how large they are: arithmetic alone, from what the
 * device, the rings and the expected connections ask for. Making the pool is pool.c's.
 */
#ifndef MELIN_SIZES_H
#define MELIN_SIZES_H

#include <stdbool.h>
#include <stddef.h>

/* Frames that wait in the link for the device to take them. */
#define TRANSMIT_QUEUE_MAX 256

struct pool_need {
	unsigned queues;
	unsigned rxd, txd;    /* descriptors a queue */
	unsigned connections; /* busy ones, each of which may hold frames that nobody has read */
	unsigned mtu;	      /* bytes of the IP packet */
	unsigned mbufs;	      /* the user's own number, 0 for none */
	bool xdp;	      /* net_af_xdp: its buffers are the kernel's chunks */
	bool grows;	      /* buffers are made when they are needed, in memory of their own */
};

struct pool_size {
	unsigned mbufs;
	unsigned data_room;  /* bytes of a buffer, headroom included */
	unsigned hold_limit; /* received frames that may be out at a time; more are copied */
	size_t memory;	     /* bytes that the pool takes, a little more than it will */
	bool raised;	     /* the user's number was too small to run and was raised */
};

void pool_size(const struct pool_need *need, struct pool_size *size);

/* The largest MTU that net_af_xdp can carry with our buffers on this page size. */
unsigned xdp_mtu_max(unsigned page_size);

#endif
