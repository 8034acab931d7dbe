/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/internet_checksum.c and dpdk/frames/frame.c: sums against a plain loop, and frames good
 * and bad.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "dpdk/frames/frame.h"
#include "tap.h"

/* RFC 1071, one byte pair after the other. */
static uint16_t plain_sum(const uint8_t *bytes, size_t length)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < length; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void sums(void)
{
	static uint8_t bytes[4096];
	unsigned wrong = 0;
	size_t length, offset, i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)random();
	for (length = 0; length < 1600; length++) {
		for (offset = 0; offset < 4; offset++)
			wrong += ntohs(checksum_fold(checksum_add(0, bytes + offset, length))) !=
				 plain_sum(bytes + offset, length);
	}
	tap_ok(wrong == 0, "sums of 0 to 1599 bytes at any alignment (%u wrong)", wrong);
	memset(bytes, 0xff, sizeof(bytes));
	tap_ok(checksum_fold(checksum_add(0, bytes, sizeof(bytes))) == 0xffff, "all ones");
}

static void long_sum(void)
{
	const size_t length = 3 << 20; /* more than one piece */
	uint8_t *bytes = malloc(length);

	memset(bytes, 0xff, length);
	tap_ok(checksum_fold(checksum_add(0, bytes, length)) == 0xffff, "3 MB of ones");
	free(bytes);
}

/* ---- frames ---- */

#define PAYLOAD 31

struct sample {
	uint8_t bytes[256];
	size_t length, ip, tcp;
};

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void fill_tcp(struct sample *sample, size_t offset)
{
	size_t i;

	sample->tcp = offset;
	for (i = 0; i < PAYLOAD; i++)
		sample->bytes[offset + 20 + i] = (uint8_t)(i * 7);
	sample->bytes[offset + 12] = 0x50;
	sample->length = offset + 20 + PAYLOAD;
}

static uint64_t pseudo(const struct sample *sample)
{
	return checksum_pseudo_header(sample->bytes + sample->ip, 20 + PAYLOAD);
}

/* Finished as a sender does it. */
static void finish(struct sample *sample)
{
	uint16_t sum = 0;

	memcpy(sample->bytes + sample->tcp + 16, &sum, 2);
	sum = (uint16_t)~checksum_fold(
		checksum_add(pseudo(sample), sample->bytes + sample->tcp, 20 + PAYLOAD));
	memcpy(sample->bytes + sample->tcp + 16, &sum, 2);
}

static void make_ipv4(struct sample *sample)
{
	uint8_t *ip = sample->bytes + 14;
	uint16_t sum;

	memset(sample, 0, sizeof(*sample));
	sample->ip = 14;
	put16(sample->bytes + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, 40 + PAYLOAD);
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, "\xc6\x12\0\1\xc6\x12\0\2", 8);
	sum = (uint16_t)~checksum_fold(checksum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
	fill_tcp(sample, 34);
	finish(sample);
}

static void make_ipv6(struct sample *sample)
{
	uint8_t *ip = sample->bytes + 14;

	memset(sample, 0, sizeof(*sample));
	sample->ip = 14;
	put16(sample->bytes + 12, 0x86dd);
	ip[0] = 0x60;
	put16(ip + 4, 20 + PAYLOAD);
	ip[6] = 6;
	ip[7] = 64;
	ip[8] = ip[24] = 0xfd;
	ip[23] = 1;
	ip[39] = 2;
	fill_tcp(sample, 54);
	finish(sample);
}

static bool parse(const struct sample *sample, struct frame *frame)
{
	return frame_parse(sample->bytes, sample->length, sample->length, frame);
}

static bool sums_up(const struct sample *sample, const struct frame *frame)
{
	return checksum_fold(checksum_add(pseudo(sample), sample->bytes + frame->tcp,
					  frame->tcp_length)) == 0xffff;
}

static void good_frames(void)
{
	struct sample sample;
	struct frame frame;

	make_ipv4(&sample);
	tap_ok(parse(&sample, &frame) && frame.tcp == 34 && frame.tcp_length == 20 + PAYLOAD &&
		       frame.ip_header_length == 20,
	       "IPv4: the segment is found");
	tap_ok(checksum_header_good(sample.bytes + 14, 20), "IPv4: the header's sum is good");
	tap_ok(sums_up(&sample, &frame), "IPv4: the segment's sum is good");
	sample.length += 6; /* padding to 60 bytes and more */
	tap_ok(parse(&sample, &frame) && frame.tcp_length == 20 + PAYLOAD,
	       "IPv4: padding is not data");
	sample.bytes[sample.tcp + 25] ^= 1;
	tap_ok(!sums_up(&sample, &frame), "IPv4: one wrong bit");
	sample.bytes[14 + 8]--;
	tap_ok(!checksum_header_good(sample.bytes + 14, 20), "IPv4: a wrong header");
	make_ipv6(&sample);
	tap_ok(parse(&sample, &frame) && frame.tcp == 54 && frame.ip_header_length == 0,
	       "IPv6: the segment is found");
	tap_ok(sums_up(&sample, &frame), "IPv6: the segment's sum is good");
}

/* As the kernel leaves it to hardware: that form and no other. */
static void unfinished(struct sample *sample, const char *name)
{
	uint8_t *tcp = sample->bytes + sample->tcp;
	uint16_t sum = checksum_fold(pseudo(sample)), other;

	tap_ok(!frame_tcp_unfinished(tcp, pseudo(sample)), "%s: a finished sum is not unfinished",
	       name);
	memcpy(tcp + 16, &sum, 2);
	tap_ok(frame_tcp_unfinished(tcp, pseudo(sample)), "%s: the pseudo-header's sum", name);
	other = (uint16_t)~sum;
	memcpy(tcp + 16, &other, 2);
	tap_ok(!frame_tcp_unfinished(tcp, pseudo(sample)), "%s: its complement is another form",
	       name);
	other = 0;
	memcpy(tcp + 16, &other, 2);
	tap_ok(!frame_tcp_unfinished(tcp, pseudo(sample)), "%s: zero is another form", name);
}

static void short_frames(void)
{
	struct sample sample;
	struct frame frame;
	size_t length;
	unsigned taken = 0;

	make_ipv4(&sample);
	for (length = 0; length < sample.length; length++)
		taken += frame_parse(sample.bytes, length, length, &frame);
	tap_ok(taken == 0, "IPv4: no cut frame is taken (%u)", taken);
	make_ipv6(&sample);
	taken = 0;
	for (length = 0; length < sample.length; length++)
		taken += frame_parse(sample.bytes, length, length, &frame);
	tap_ok(taken == 0, "IPv6: no cut frame is taken (%u)", taken);
	put16(sample.bytes + 12, 0x0806);
	tap_ok(!frame_parse(sample.bytes, 41, 41, &frame), "ARP of 41 bytes is too short");
	tap_ok(frame_parse(sample.bytes, 42, 42, &frame), "ARP of 42 bytes is not");
	put16(sample.bytes + 12, 0x88b5);
	tap_ok(frame_parse(sample.bytes, 14, 14, &frame) && !frame.tcp_length,
	       "of other types nothing is known");
	tap_ok(!frame_parse(sample.bytes, 13, 13, &frame), "13 bytes are no frame");
}

static void odd_frames(void)
{
	struct sample sample;
	struct frame frame;

	make_ipv4(&sample);
	sample.bytes[14] = 0x44;
	tap_ok(!parse(&sample, &frame), "IPv4: a header of 16 bytes");
	make_ipv4(&sample);
	sample.bytes[14] = 0x65;
	tap_ok(!parse(&sample, &frame), "IPv4: version 6");
	make_ipv4(&sample);
	put16(sample.bytes + 20, 0x2000);
	tap_ok(parse(&sample, &frame) && !frame.tcp_length, "IPv4: of a fragment no sum is asked");
	make_ipv4(&sample);
	sample.bytes[23] = 17;
	tap_ok(parse(&sample, &frame) && !frame.tcp_length, "IPv4: nor of UDP");
	make_ipv4(&sample);
	put16(sample.bytes + 16, 30); /* ends inside the TCP header */
	tap_ok(!parse(&sample, &frame), "IPv4: a segment without its header");
}

static void extension_headers(void)
{
	struct sample sample;
	struct frame frame;
	uint8_t *ip = sample.bytes + 14;

	make_ipv6(&sample);
	put16(ip + 4, 24 + 20 + PAYLOAD);
	ip[6] = 0; /* hop-by-hop, 8 bytes, then destination options, 16 bytes */
	memset(sample.bytes + 54, 0, 24);
	sample.bytes[54] = 60;
	sample.bytes[62] = 6;
	sample.bytes[63] = 1;
	fill_tcp(&sample, 78);
	finish(&sample);
	tap_ok(parse(&sample, &frame) && frame.tcp == 78 && frame.tcp_length == 20 + PAYLOAD &&
		       sums_up(&sample, &frame),
	       "IPv6: the segment behind two extension headers");
	sample.bytes[62] = 44;
	tap_ok(parse(&sample, &frame) && !frame.tcp_length, "IPv6: of a fragment no sum is asked");
	sample.bytes[62] = 6;
	sample.bytes[63] = 200;
	tap_ok(!parse(&sample, &frame), "IPv6: an extension header longer than the packet");
	sample.bytes[54] = 43;
	sample.bytes[62] = 6;
	sample.bytes[63] = 0;
	sample.bytes[65] = 1;
	tap_ok(parse(&sample, &frame) && !frame.tcp_length, "IPv6: routed on by the source");
}

static void vlan(void)
{
	uint8_t tagged[64], plain[64];
	uint16_t id = 0;
	unsigned i;

	for (i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)i;
	memcpy(tagged, plain, 12);
	memcpy(tagged + 12, "\x81\x00\xa1\x23", 4);
	memcpy(tagged + 16, plain + 12, 48);
	tap_ok(!frame_take_vlan(plain, sizeof(plain), &id), "a frame without a tag");
	tap_ok(!frame_take_vlan(tagged, 17, &id), "a frame that ends in its tag");
	tap_ok(frame_take_vlan(tagged, sizeof(tagged), &id) && id == 0x123,
	       "a tag's VLAN is its low 12 bits");
	tap_ok(memcmp(tagged + 4, plain, 60) == 0, "the frame without its tag");
}

int main(void)
{
	struct sample sample;

	sums();
	long_sum();
	good_frames();
	make_ipv4(&sample);
	unfinished(&sample, "IPv4");
	make_ipv6(&sample);
	unfinished(&sample, "IPv6");
	short_frames();
	odd_frames();
	extension_headers();
	vlan();
	return tap_done();
}
