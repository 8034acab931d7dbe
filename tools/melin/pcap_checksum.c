/* SPDX-License-Identifier: BSD-3-Clause */
/* See pcap_checksum.h. */
#include "tools/melin/pcap_checksum.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/internet_checksum.h"
#include "common/network_order.h"

/* Of the IPv4 header (RFC 791 3.1), the IPv6 header (RFC 8200 3) and TCP's (RFC 9293 3.1). */
#define IPV4_LENGTH   2
#define IPV4_FRAGMENT 6
#define IPV4_PROTOCOL 9
#define IPV4_HEADER   20
#define IPV6_LENGTH   4
#define IPV6_NEXT     6
#define IPV6_HEADER   40
#define TCP_CHECKSUM  16
#define TCP_HEADER    20

struct segment {
	uint8_t *tcp;
	size_t size;
	uint64_t pseudo_header; /* its sum */
};

static bool find_in_ipv4(uint8_t *ip, size_t size, struct segment *segment)
{
	const size_t header = (size_t)(ip[0] & 0xf) * 4, total = bytes_read16(ip + IPV4_LENGTH);

	if (header < IPV4_HEADER || total < header || total > size ||
	    ip[IPV4_PROTOCOL] != IPPROTO_TCP || bytes_read16(ip + IPV4_FRAGMENT) & 0x3fff)
		return false;
	*segment = (struct segment){ ip + header, total - header, 0 };
	return true;
}

static bool find_in_ipv6(uint8_t *ip, size_t size, struct segment *segment)
{
	const size_t payload = bytes_read16(ip + IPV6_LENGTH);

	if (size < IPV6_HEADER || payload > size - IPV6_HEADER || ip[IPV6_NEXT] != IPPROTO_TCP)
		return false;
	*segment = (struct segment){ ip + IPV6_HEADER, payload, 0 };
	return true;
}

static bool find(uint8_t *frame, size_t size, struct segment *segment)
{
	uint8_t *ip = frame + ETHER_HDR_LEN;
	unsigned type;

	if (size < ETHER_HDR_LEN + IPV4_HEADER)
		return false;
	type = bytes_read16(frame + 2 * (size_t)ETHER_ADDR_LEN);
	size -= ETHER_HDR_LEN;
	if (!(type == ETHERTYPE_IP     ? find_in_ipv4(ip, size, segment)
	      : type == ETHERTYPE_IPV6 ? find_in_ipv6(ip, size, segment)
				       : false) ||
	    segment->size < TCP_HEADER)
		return false;
	segment->pseudo_header = checksum_pseudo_header(ip, segment->size);
	return true;
}

void pcap_finish_checksum(uint8_t *frame, size_t size, bool sent)
{
	struct segment segment;
	uint8_t *field;
	uint16_t value;

	if (!find(frame, size, &segment))
		return;
	field = segment.tcp + TCP_CHECKSUM;
	memcpy(&value, field, sizeof(value));
	if (!sent && value != checksum_fold(segment.pseudo_header))
		return;
	memset(field, 0, sizeof(value));
	value = (uint16_t)~checksum_fold(
		checksum_add(segment.pseudo_header, segment.tcp, segment.size));
	memcpy(field, &value, sizeof(value));
}
