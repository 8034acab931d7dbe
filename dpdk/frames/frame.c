/* SPDX-License-Identifier: BSD-3-Clause */
/* See frame.h. */
#include "dpdk/frames/frame.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>

#include "common/network_order.h"

#define TYPE_OFFSET	    12
#define ARP_FRAME_LENGTH    42 /* Ethernet and IPv4; lwIP reads that much without looking */
#define TCP_HEADER_LENGTH   20
#define TCP_CHECKSUM_OFFSET 16
#define IPV6_HEADER_LENGTH  40
#define IPV6_LENGTH_OFFSET  4
#define IPV6_NEXT_OFFSET    6
#define IPV6_EXTENSIONS_MAX 8 /* more than any host sends; the rest is lwIP's to refuse */
#define IPV6_ROUTING_LEFT   3 /* in a routing header: how many hops are still to come */

bool frame_take_vlan(uint8_t *bytes, size_t length, uint16_t *id)
{
	if (length < FRAME_HEADER_LENGTH + FRAME_VLAN_LENGTH ||
	    bytes_read16(bytes + TYPE_OFFSET) != ETHERTYPE_VLAN)
		return false;
	*id = bytes_read16(bytes + FRAME_HEADER_LENGTH) & FRAME_VLAN_MASK;
	memmove(bytes + FRAME_VLAN_LENGTH, bytes, 2 * ETHER_ADDR_LEN);
	return true;
}

static bool set_tcp(struct frame *frame, size_t there, size_t offset, size_t length)
{
	if (length < TCP_HEADER_LENGTH || offset + TCP_HEADER_LENGTH > there)
		return false;
	frame->tcp = (unsigned)offset;
	frame->tcp_length = (unsigned)length;
	return true;
}

static bool parse_ipv4(const uint8_t *bytes, size_t there, size_t length, struct frame *frame)
{
	const uint8_t *header = bytes + FRAME_HEADER_LENGTH;
	size_t header_length, total;

	if (there < FRAME_HEADER_LENGTH + sizeof(struct iphdr) || header[0] >> 4 != 4)
		return false;
	header_length = (header[0] & 0xfU) * 4;
	total = bytes_read16(header + 2);
	if (header_length < sizeof(struct iphdr) || total < header_length ||
	    FRAME_HEADER_LENGTH + total > length || FRAME_HEADER_LENGTH + header_length > there)
		return false;
	frame->ip_header_length = (unsigned)header_length;
	/* Of a fragment the checksum cannot be known; lwIP is built to take none. */
	if (header[9] != IPPROTO_TCP || bytes_read16(header + 6) & (IP_MF | IP_OFFMASK))
		return true;
	return set_tcp(frame, there, FRAME_HEADER_LENGTH + header_length, total - header_length);
}

/*
 * Finds the TCP segment behind extension headers. Fragments, and what is routed on by the source,
 * stay as they are: lwIP refuses them.
 */
static bool parse_ipv6(const uint8_t *bytes, size_t there, size_t length, struct frame *frame)
{
	const uint8_t *header = bytes + FRAME_HEADER_LENGTH;
	size_t offset = FRAME_HEADER_LENGTH + IPV6_HEADER_LENGTH, end;
	uint8_t next;
	unsigned i;

	if (there < offset || header[0] >> 4 != 6)
		return false;
	end = offset + bytes_read16(header + IPV6_LENGTH_OFFSET);
	if (end > length)
		return false;
	next = header[IPV6_NEXT_OFFSET];
	for (i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING)
			break;
		if (offset + 8 > there || offset + 8 > end)
			return false;
		if (next == IPPROTO_ROUTING && bytes[offset + IPV6_ROUTING_LEFT])
			return true;
		next = bytes[offset];
		offset += 8 + (size_t)bytes[offset + 1] * 8;
	}
	if (next != IPPROTO_TCP)
		return true;
	return offset <= end && set_tcp(frame, there, offset, end - offset);
}

bool frame_parse(const uint8_t *bytes, size_t there, size_t length, struct frame *frame)
{
	memset(frame, 0, sizeof(*frame));
	if (there < FRAME_HEADER_LENGTH)
		return false;
	frame->ip = FRAME_HEADER_LENGTH;
	switch (bytes_read16(bytes + TYPE_OFFSET)) {
	case ETHERTYPE_ARP:
		return there >= ARP_FRAME_LENGTH;
	case ETHERTYPE_IP:
		return parse_ipv4(bytes, there, length, frame);
	case ETHERTYPE_IPV6:
		return parse_ipv6(bytes, there, length, frame);
	default:
		return true;
	}
}

bool frame_tcp_unfinished(const uint8_t *tcp, uint64_t pseudo_sum)
{
	uint16_t field;

	memcpy(&field, tcp + TCP_CHECKSUM_OFFSET, sizeof(field));
	return field == checksum_fold(pseudo_sum);
}
