/* SPDX-License-Identifier: BSD-3-Clause */
/* See internet_checksum.h. */
#include "common/internet_checksum.h"

#include <netinet/in.h>
#include <string.h>

#define IPV4_ADDRESSES_OFFSET 12
#define IPV6_ADDRESSES_OFFSET 8

/* Four 32-bit sums side by side: one register of every x86-64 and ARMv8 processor. */
typedef uint32_t lanes __attribute__((vector_size(16)));

#define STEP (4 * sizeof(lanes))

/* Each step adds eight 16-bit halves to each lane, so 8,192 steps fit a lane of 32 bits. */
#define LANES_LENGTH_MAX (8192 * STEP)

static uint64_t add_lanes(const uint8_t *bytes, size_t length)
{
	lanes low = { 0 }, high = { 0 }, words[4];
	uint64_t sum = 0;
	unsigned i;

	for (; length; length -= STEP, bytes += STEP) {
		memcpy(words, bytes, STEP);
		low += (words[0] & 0xffff) + (words[1] & 0xffff) + (words[2] & 0xffff) +
		       (words[3] & 0xffff);
		high += (words[0] >> 16) + (words[1] >> 16) + (words[2] >> 16) + (words[3] >> 16);
	}
	for (i = 0; i < sizeof(lanes) / sizeof(uint32_t); i++)
		sum += (uint64_t)low[i] + high[i];
	return sum;
}

uint64_t checksum_add(uint64_t sum, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint32_t word;
	uint16_t half;

	while (length >= STEP) {
		size_t piece = length > LANES_LENGTH_MAX ? LANES_LENGTH_MAX : length;

		piece -= piece % STEP;
		sum += add_lanes(bytes, piece);
		bytes += piece;
		length -= piece;
	}
	for (; length >= sizeof(word); length -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		sum += word;
	}
	if (length >= sizeof(half)) {
		memcpy(&half, bytes, sizeof(half));
		sum += half;
		bytes += sizeof(half);
	}
	if (length % 2) {
		/* An odd byte is the first of 16 bits whose other byte is zero. */
		half = 0;
		memcpy(&half, bytes, 1);
		sum += half;
	}
	return sum;
}

uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

uint64_t checksum_pseudo_header(const uint8_t *header, size_t length)
{
	uint64_t sum = (uint64_t)htons(IPPROTO_TCP) + htons((uint16_t)length);

	if (header[0] >> 4 == 4)
		return checksum_add(sum, header + IPV4_ADDRESSES_OFFSET, 2 * 4);
	return checksum_add(sum, header + IPV6_ADDRESSES_OFFSET, 2 * 16);
}

bool checksum_header_good(const uint8_t *header, size_t header_length)
{
	return checksum_fold(checksum_add(0, header, header_length)) == 0xffff;
}
