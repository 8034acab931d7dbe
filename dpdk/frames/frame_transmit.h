/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames from the stack to the device. With the stack's lock.
 */
#ifndef MELIN_FRAME_TRANSMIT_H
#define MELIN_FRAME_TRANSMIT_H

#include <stdbool.h>

#include <rte_mbuf.h>

struct device_link;
struct pbuf;

/* Whether a frame is no longer than the link's may be. */
bool transmit_fits(const struct device_link *link, const struct pbuf *frame);
/* Makes mbuf the frame as the device is to send it. False: it does not fit. */
bool transmit_fill(const struct device_link *link, struct rte_mbuf *mbuf, const struct pbuf *frame);
/* Counts a frame that cannot be sent, frees its buffer unless that is NULL, and returns error. */
int transmit_give_up(struct device_link *link, struct rte_mbuf *mbuf, int error);
/*
 * Where all frames go through gso.c: transmit() of link.h, and transmit_by() if interface is not 0.
 */
int transmit_take(struct device_link *link, struct pbuf *frame, unsigned interface);
/* Hands what gso.c has gathered to the kernel; returns how many frames still wait. */
unsigned transmit_gso(struct device_link *link);

#endif
