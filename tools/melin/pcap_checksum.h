/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TCP checksum of a captured frame. The stack leaves it to the link, which is below the
 * capture, and a kernel at the other end of a virtual wire leaves it to nobody (dpdk/link.h). Not
 * for judging checksums: a wrong one stays.
 */
#ifndef MELIN_PCAP_CHECKSUM_H
#define MELIN_PCAP_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Fills it in where it is still to be: in whole TCP segments over IPv4 or IPv6 without extensions
 * that were sent, and in those that were received with the sum of the pseudo-header.
 */
void pcap_finish_checksum(uint8_t *frame, size_t size, bool sent);

#endif
