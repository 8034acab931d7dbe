/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Internet checksum over a block of memory, for lwIP (LWIP_CHKSUM). Not for TCP's on a device:
 * the link does that.
 */
#include <stdint.h>
#include <string.h>

/* Returns the folded sum, not inverted, in the byte order of memory, as lwIP wants it. */
__attribute__((optimize("O3"))) unsigned short melin_checksum(const void *data, int length)
{
	const unsigned char *bytes = data;
	int words = length / 4;
	int rest = length & 3;
	uint64_t sum = 0;

	/* 32-bit words into 64 bits: cannot overflow below 16 GB, and compilers vectorise it. */
	for (int i = 0; i < words; i++) {
		uint32_t word;

		memcpy(&word, bytes + 4 * i, sizeof(word));
		sum += word;
	}
	if (rest) {
		uint32_t word = 0;

		memcpy(&word, bytes + 4 * words, (size_t)rest);
		sum += word;
	}
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned short)sum;
}
