/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames over the link of memory (tests/link/memory_link.h): what the stack sends is looked at
 * frame by frame, what it receives is written by hand. The peer answers ARP by itself, unless told
 * not to.
 */
#ifndef MELIN_TEST_WIRE_H
#define MELIN_TEST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_OWN      "198.18.0.10"
#define WIRE_PEER     "198.18.0.2"
#define WIRE_OWN6     "fd00::10"
#define WIRE_PEER6    "fd00::2"
#define WIRE_OWN_MAC  "\x02\0\0\0\0\x0a"
#define WIRE_PEER_MAC "\x02\0\0\0\0\x02"

#define FIN 1
#define SYN 2
#define RST 4
#define PSH 8
#define ACK 16

/* One TCP segment of the peer's, or of the stack's as it was seen. */
struct segment {
	uint16_t from, to; /* ports */
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window; /* 0: 65535 */
	bool shut;	 /* a window of 0 */
	const void *options;
	size_t option_size; /* a multiple of 4 */
	const void *data;
	size_t size;
	const char *source; /* IPv4 address; NULL: WIRE_PEER */
	bool fragment;
	bool v6;	       /* between WIRE_OWN6 and WIRE_PEER6 */
	bool dont_fragment;    /* of a segment that was seen, over IPv4 */
	const uint8_t *packet; /* and its IP packet */
};

extern bool wire_answers_arp;

/* Before the first frame. */
void wire_open(void);

/* Hands a raw frame to the stack with its next poll(). */
void wire_put(const void *frame, size_t size);
/* Writes the frame of such a segment into zeroed bytes, 2048 or fewer, and returns its size. */
size_t wire_build(const struct segment *segment, uint8_t *frame);
/* Hands a segment of the peer to it. */
void wire_put_segment(const struct segment *segment);
/* The next frame that the stack has sent (ARP is left out if it is answered); 0: none. */
size_t wire_get(void *frame, size_t size);
/* The next TCP segment that it has sent; false: none. Its data is valid until the next call. */
bool wire_get_segment(struct segment *segment);
/* Forgets what it has sent. */
void wire_clear(void);

/*
 * Makes a frame of an ICMP or ICMPv6 message to WIRE_OWN or WIRE_OWN6: headers in front, checksum
 * filled in. source is in network order. Returns the frame's size.
 */
size_t wire_icmp(uint8_t *frame, bool v6, const void *source, const void *message, size_t size);
/* The peer asks for the stack's hardware address, and tells its own: RFC 4861 4.3. */
void wire_put_solicitation(void);
/* An answer to the stack's question: who has this IPv6 address has the peer's hardware address. */
void wire_put_advertisement(const uint8_t *address);

/* The Internet checksum in host order; start: the pseudo-header's words, or 0. */
uint16_t wire_checksum(const uint8_t *bytes, size_t size, uint32_t start);

#endif
