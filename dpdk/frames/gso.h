/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large segments to a Linux interface: consecutive TCP segments of a connection are gathered while
 * a burst lasts and given to the kernel as one, through a packet socket (packet(7),
 * PACKET_VNET_HDR), which cuts them as late as the interface allows: never, if the peer is a
 * kernel behind a veth. Each frame that goes through AF_XDP instead is work of its own for both
 * kernels. For "packet:NAME" all frames go this way. Not for receiving.
 *
 * All functions are called under the stack instance's lock.
 */
#ifndef MELIN_GSO_H
#define MELIN_GSO_H

#include <stdbool.h>
#include <stdint.h>

struct gso;
struct pbuf;

/* Frames as the stack made them. */
struct gso_counts {
	unsigned sent, lost;
	uint64_t bytes; /* of those sent */
};

/*
 * How many runs may wait, of connections or of single frames: as many as take part in a burst of
 * bulk transfers, and at most.
 */
#define GSO_RUNS     16
#define GSO_RUNS_MAX 64

/*
 * Opens a packet socket for the interface of that index. all: there is no other way, so that frames
 * of any kind are taken; else only those of a kind that others follow. runs: how many may wait, of
 * connections or of single frames. NULL, and errno: it cannot be.
 */
struct gso *gso_open(int ifindex, bool all, unsigned runs);
/* The same for all frames and several interfaces, by a packet socket that stays the caller's. */
struct gso *gso_open_on(int socket, unsigned runs);

/*
 * Closes the socket and forgets what waits to be sent. May be called in the child of fork(), too.
 */
void gso_close(struct gso *gso);

/*
 * Takes a frame (as link_operations.transmit() gets it) to send it with others of its connection,
 * and holds a reference to the frame until gso_send(). False: the frame must go on its own, or,
 * where all are taken, be given once more when there is room; if *send_first is true then, what
 * waits goes before the frame: earlier frames of its connection, or all that there is room for.
 * interface: the one by which the frame is to leave; 0: the one that gso was opened for.
 */
bool gso_take(struct gso *gso, struct pbuf *frame, unsigned interface, bool *send_first);

/* Whether nothing waits to be sent. */
bool gso_is_empty(const struct gso *gso);

/*
 * Hands all that waits to the kernel, in order, and returns how many frames still wait: the
 * socket's buffer is full then. *counts is set.
 */
unsigned gso_send(struct gso *gso, struct gso_counts *counts);

#endif
