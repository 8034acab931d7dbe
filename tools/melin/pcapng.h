/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes files of frames in the pcapng format (draft-ietf-opsawg-pcapng): one section, one Ethernet
 * interface. Our own, because libpcap writes the older format alone, which has no comments, and
 * DPDK's librte_pcapng takes mbufs of a pool and would bring all of DPDK into the command. Not for
 * where frames are from: pcap.c.
 */
#ifndef MELIN_PCAPNG_H
#define MELIN_PCAPNG_H

#include <stdint.h>
#include <stdio.h>

/* The two blocks that a file begins with. Errors are the stream's: ferror(3), as in all of these.
 */
void pcapng_begin(FILE *file, const char *application, const char *interface, uint32_t snap_length);

struct pcapng_frame {
	uint64_t time; /* ns since 1970 */
	const uint8_t *bytes;
	uint32_t captured, length;
	int sent;	     /* its direction: 0: received */
	const char *comment; /* or NULL */
};

void pcapng_frame(FILE *file, const struct pcapng_frame *frame);

/* The last block: so many frames were received by the reader, and so many lost. */
void pcapng_end(FILE *file, uint64_t time, uint64_t received, uint64_t lost);

#endif
