/* SPDX-License-Identifier: BSD-3-Clause */
/* See pcap_checksum.h. */
#include "tools/melin/pcap_checksum.h"

#include <net/ethernet.h>
#include <netinet/in.h>

/* Of the IPv4 header (RFC 791 3.1), the IPv6 header (RFC 8200 3) and TCP's (RFC 9293 3.1). */
#define IPV4_LENGTH    2
#define IPV4_FRAGMENT  6
#define IPV4_PROTOCOL  9
#define IPV4_ADDRESSES 12
#define IPV4_HEADER    20
#define IPV6_LENGTH    4
#define IPV6_NEXT      6
#define IPV6_ADDRESSES 8
#define IPV6_HEADER    40
#define TCP_CHECKSUM   16
#define TCP_HEADER     20

static unsigned get_u16(const uint8_t *bytes)
{
	return (unsigned)bytes[0] << 8 | bytes[1];
}

/* RFC 1071. */
static uint64_t add(uint64_t sum, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i + 1 < size; i += 2)
		sum += get_u16(bytes + i);
	return size % 2 ? sum + ((unsigned)bytes[size - 1] << 8) : sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

struct segment {
	uint8_t *tcp;
	size_t size;
	uint64_t pseudo_header; /* its sum */
};

static bool find_in_ipv4(uint8_t *ip, size_t size, struct segment *segment)
{
	const size_t header = (size_t)(ip[0] & 0xf) * 4, total = get_u16(ip + IPV4_LENGTH);

	if (header < IPV4_HEADER || total < header || total > size ||
	    ip[IPV4_PROTOCOL] != IPPROTO_TCP || get_u16(ip + IPV4_FRAGMENT) & 0x3fff)
		return false;
	*segment = (struct segment){ ip + header, total - header, add(0, ip + IPV4_ADDRESSES, 8) };
	return true;
}

static bool find_in_ipv6(uint8_t *ip, size_t size, struct segment *segment)
{
	const size_t payload = get_u16(ip + IPV6_LENGTH);

	if (size < IPV6_HEADER || payload > size - IPV6_HEADER || ip[IPV6_NEXT] != IPPROTO_TCP)
		return false;
	*segment = (struct segment){ ip + IPV6_HEADER, payload, add(0, ip + IPV6_ADDRESSES, 32) };
	return true;
}

static bool find(uint8_t *frame, size_t size, struct segment *segment)
{
	uint8_t *ip = frame + ETHER_HDR_LEN;
	unsigned type;

	if (size < ETHER_HDR_LEN + IPV4_HEADER)
		return false;
	type = get_u16(frame + 2 * (size_t)ETHER_ADDR_LEN);
	size -= ETHER_HDR_LEN;
	if (!(type == ETHERTYPE_IP     ? find_in_ipv4(ip, size, segment)
	      : type == ETHERTYPE_IPV6 ? find_in_ipv6(ip, size, segment)
				       : false) ||
	    segment->size < TCP_HEADER)
		return false;
	segment->pseudo_header += IPPROTO_TCP + segment->size;
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
	if (!sent && get_u16(field) != fold(segment.pseudo_header))
		return;
	field[0] = field[1] = 0;
	value = (uint16_t)~fold(add(segment.pseudo_header, segment.tcp, segment.size));
	field[0] = (uint8_t)(value >> 8);
	field[1] = (uint8_t)value;
}
