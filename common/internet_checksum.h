/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The internet checksum (RFC 1071), and the TCP checksum with its pseudo-header. Pure functions on
 * bytes in network order; they know nothing of mbufs, pbufs or devices.
 *
 * Sums are kept as 16-bit words in memory order, so they need no byte swapping: a sum taken here
 * can be stored into a frame as it is.
 */
#ifndef MELIN_INTERNET_CHECKSUM_H
#define MELIN_INTERNET_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Adds length bytes to a running sum. All pieces but the last must be of even length. */
uint64_t checksum_add(uint64_t sum, const void *data, size_t length);

/* Folds a running sum to 16 bits; not complemented. */
uint16_t checksum_fold(uint64_t sum);

/*
 * The running sum of the pseudo-header for TCP: header points to an IPv4 or IPv6 header (by its
 * version), length is that of the TCP header and data.
 */
uint64_t checksum_pseudo_header(const uint8_t *header, size_t length);

/* Whether an IPv4 header of header_length bytes sums up. */
bool checksum_header_good(const uint8_t *header, size_t header_length);

#endif
