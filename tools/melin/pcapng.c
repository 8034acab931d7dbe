/* SPDX-License-Identifier: BSD-3-Clause */
/* See pcapng.h; "section" is that of the draft. */
#include "tools/melin/pcapng.h"

#include <string.h>

/* Block types (sections 4.1, 4.2, 4.3, 4.6) and options (3.5, 4.1, 4.2, 4.3, 4.6). */
#define BLOCK_SECTION	 0x0a0d0d0a
#define BLOCK_INTERFACE	 1
#define BLOCK_STATISTICS 5
#define BLOCK_PACKET	 6

#define OPTION_END	    0
#define OPTION_COMMENT	    1
#define SECTION_APPLICATION 4
#define INTERFACE_NAME	    2
#define INTERFACE_UNIT	    9
#define PACKET_FLAGS	    2
#define STATISTICS_RECEIVED 4
#define STATISTICS_DROPPED  5

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define LINK_ETHERNET	 1

#define ROUND(size) (((size) + 3u) & ~3u)

static void put_u16(FILE *file, uint16_t value)
{
	fwrite(&value, sizeof(value), 1, file);
}

static void put_u32(FILE *file, uint32_t value)
{
	fwrite(&value, sizeof(value), 1, file);
}

static void put_time(FILE *file, uint64_t time)
{
	put_u32(file, (uint32_t)(time >> 32));
	put_u32(file, (uint32_t)time);
}

/* Bytes and zeros up to a multiple of 4. */
static void put_bytes(FILE *file, const void *bytes, uint32_t size)
{
	static const uint8_t zeros[4];

	fwrite(bytes, 1, size, file);
	fwrite(zeros, 1, ROUND(size) - size, file);
}

static uint32_t option_size(uint32_t size)
{
	return 4 + ROUND(size);
}

static void put_option(FILE *file, uint16_t code, const void *value, size_t size)
{
	put_u16(file, code);
	put_u16(file, (uint16_t)size);
	put_bytes(file, value, (uint32_t)size);
}

/* Type and length of a block whose body has so many bytes; the length is repeated at its end. */
static uint32_t begin_block(FILE *file, uint32_t type, uint32_t body)
{
	put_u32(file, type);
	put_u32(file, body + 12);
	return body + 12;
}

void pcapng_begin(FILE *file, const char *application, const char *interface, uint32_t snap_length)
{
	static const uint8_t nanoseconds = 9;
	const uint32_t application_size = (uint32_t)strlen(application);
	const uint32_t interface_size = (uint32_t)strlen(interface);
	uint32_t length = begin_block(file, BLOCK_SECTION,
				      16 + option_size(application_size) + option_size(0));

	put_u32(file, BYTE_ORDER_MAGIC);
	put_u16(file, 1); /* version 1.0 */
	put_u16(file, 0);
	put_u32(file, UINT32_MAX); /* the section's length is not told */
	put_u32(file, UINT32_MAX);
	put_option(file, SECTION_APPLICATION, application, application_size);
	put_option(file, OPTION_END, NULL, 0);
	put_u32(file, length);

	length = begin_block(file, BLOCK_INTERFACE,
			     8 + option_size(interface_size) + option_size(1) + option_size(0));
	put_u16(file, LINK_ETHERNET);
	put_u16(file, 0);
	put_u32(file, snap_length);
	put_option(file, INTERFACE_NAME, interface, interface_size);
	put_option(file, INTERFACE_UNIT, &nanoseconds, 1);
	put_option(file, OPTION_END, NULL, 0);
	put_u32(file, length);
}

void pcapng_frame(FILE *file, const struct pcapng_frame *frame)
{
	const uint32_t direction = frame->sent ? 2 : 1;
	const uint32_t comment = frame->comment ? (uint32_t)strlen(frame->comment) : 0;
	const uint32_t length =
		begin_block(file, BLOCK_PACKET,
			    20 + ROUND(frame->captured) + option_size(sizeof(direction)) +
				    (comment ? option_size(comment) : 0) + option_size(0));

	put_u32(file, 0); /* the interface's number */
	put_time(file, frame->time);
	put_u32(file, frame->captured);
	put_u32(file, frame->length);
	put_bytes(file, frame->bytes, frame->captured);
	put_option(file, PACKET_FLAGS, &direction, sizeof(direction));
	if (comment)
		put_option(file, OPTION_COMMENT, frame->comment, comment);
	put_option(file, OPTION_END, NULL, 0);
	put_u32(file, length);
}

void pcapng_end(FILE *file, uint64_t time, uint64_t received, uint64_t lost)
{
	const uint32_t length = begin_block(file, BLOCK_STATISTICS,
					    12 + 2 * option_size(sizeof(lost)) + option_size(0));

	put_u32(file, 0);
	put_time(file, time);
	put_option(file, STATISTICS_RECEIVED, &received, sizeof(received));
	put_option(file, STATISTICS_DROPPED, &lost, sizeof(lost));
	put_option(file, OPTION_END, NULL, 0);
	put_u32(file, length);
}
