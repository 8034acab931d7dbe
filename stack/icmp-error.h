/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP and ICMPv6 errors about the stack's own segments. Not for echo or neighbour discovery: those
 * are lwIP's.
 */
#ifndef MELIN_ICMP_ERROR_H
#define MELIN_ICMP_ERROR_H

#include <stdbool.h>
#include <stdint.h>

struct stack;

/*
 * Takes an ICMP message of size bytes, without its IP header, that has come for one of the stack's
 * addresses. Returns whether it was an error message; then nothing is left to do for others. The
 * instance's lock is held; no connection is being worked on.
 */
bool icmp_error_received(struct stack *stack, const uint8_t *icmp, unsigned size);

/* The same for ICMPv6; ip is the IPv6 header that it came with, for the checksum. */
bool icmp_error_received6(struct stack *stack, const uint8_t *ip, const uint8_t *icmp,
			  unsigned size);

#endif
