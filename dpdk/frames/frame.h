/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a link must know of a frame: its VLAN tag, whether it is long enough for its protocol, and
 * where its TCP segment is. Pure functions on bytes; the protocols themselves are lwIP's.
 */
#ifndef MELIN_FRAME_H
#define MELIN_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/internet_checksum.h"

#define FRAME_HEADER_LENGTH 14
#define FRAME_VLAN_LENGTH   4
#define FRAME_VLAN_MASK	    0x0fff

struct frame {
	unsigned ip; /* offset of the IP header */
	unsigned
		ip_header_length; /* of an IPv4 header, whose checksum is to be looked at; else 0 */
	unsigned tcp;		  /* offset of the TCP header */
	unsigned tcp_length;	  /* of header and data; 0: no whole TCP segment in it */
};

/*
 * If the frame has an 802.1Q tag: moves the addresses over it, sets *id and returns true; the
 * frame then begins FRAME_VLAN_LENGTH bytes later.
 */
bool frame_take_vlan(uint8_t *bytes, size_t length, uint16_t *id);

/*
 * Looks at an untagged frame of which the first `there` bytes are at hand and which is `length`
 * bytes long. False: too short for its protocol, or malformed. True as well for protocols that are
 * not known here.
 */
bool frame_parse(const uint8_t *bytes, size_t there, size_t length, struct frame *frame);

/*
 * Whether the TCP checksum is what a kernel leaves for hardware to finish: the folded sum of the
 * pseudo-header, not complemented.
 */
bool frame_tcp_unfinished(const uint8_t *tcp, uint64_t pseudo_sum);

#endif
