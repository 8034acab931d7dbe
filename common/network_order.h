/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fields in network byte order, wherever they lie: for all parts, so nothing of lwIP or DPDK is
 * here.
 */
#ifndef MELIN_NETWORK_ORDER_H
#define MELIN_NETWORK_ORDER_H

#include <stdint.h>

static inline uint16_t bytes_read16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t bytes_read32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static inline void bytes_write16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

static inline void bytes_write32(uint8_t *bytes, uint32_t value)
{
	bytes_write16(bytes, (uint16_t)(value >> 16));
	bytes_write16(bytes + 2, (uint16_t)value);
}

#endif
