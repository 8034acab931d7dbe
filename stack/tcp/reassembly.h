/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data that is out of order, put together as it comes: what follows upon the last segment of lwIP's
 * list is appended to that. lwIP's list has an element for each segment, is walked for each that
 * comes, and each element keeps a receive buffer of the device.
 */
#ifndef MELIN_REASSEMBLY_H
#define MELIN_REASSEMBLY_H

#include <stdbool.h>
#include <stdint.h>

struct pbuf;
struct tcp_hdr;
struct tcp_pcb;

/*
 * A segment has come that is within the window and not the next. Returns whether it was appended
 * and acknowledged; then nothing is left for lwIP to do. A segment that brings more than data
 * (another acknowledgement or window) is not appended.
 */
bool reassembly_append(struct tcp_pcb *pcb, const struct tcp_hdr *header,
		       const struct pbuf *payload);

#endif
