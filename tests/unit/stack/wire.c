/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See wire.h.
 */
#include "tests/unit/stack/wire.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <string.h>

#include "tests/link/memory_link.h"

bool wire_answers_arp = true;

/* Answers "who has PEER" for any address but the stack's own. */
static bool answer_arp(const uint8_t *frame, size_t size)
{
	uint8_t answer[42];

	if (!wire_answers_arp || size < sizeof(answer) || frame[12] != 8 || frame[13] != 6 ||
	    frame[21] != 1 || !memcmp(frame + 28, frame + 38, 4))
		return false;
	memcpy(answer, frame, sizeof(answer));
	memcpy(answer, WIRE_OWN_MAC, 6);
	memcpy(answer + 6, WIRE_PEER_MAC, 6);
	answer[21] = 2;
	memcpy(answer + 22, WIRE_PEER_MAC, 6);
	memcpy(answer + 28, frame + 38, 4);
	memcpy(answer + 32, WIRE_OWN_MAC, 6);
	memcpy(answer + 38, frame + 28, 4);
	wire_put(answer, sizeof(answer));
	return true;
}

void wire_open(void)
{
	memory_link.answer = answer_arp;
	wire_clear();
}

void wire_put(const void *frame, size_t size)
{
	memory_queue_put(&memory_link.received, frame, size);
}

size_t wire_get(void *frame, size_t size)
{
	return memory_queue_take(&memory_link.sent, frame, size);
}

void wire_clear(void)
{
	uint8_t byte;

	while (wire_get(&byte, 1))
		;
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_ethernet(uint8_t *frame, bool v6)
{
	memcpy(frame, WIRE_OWN_MAC, 6);
	memcpy(frame + 6, WIRE_PEER_MAC, 6);
	put16(frame + 12, v6 ? 0x86dd : 0x0800);
}

/* size: bytes behind this header. source: an address in network order. */
static size_t put_ip4(uint8_t *ip, uint8_t protocol, const void *source, size_t size)
{
	ip[0] = 0x45;
	put16(ip + 2, (unsigned)(20 + size));
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, source, 4);
	inet_pton(AF_INET, WIRE_OWN, ip + 16);
	return 20;
}

static size_t put_ip6(uint8_t *ip, uint8_t next, const void *source, size_t size)
{
	ip[0] = 0x60;
	put16(ip + 4, (unsigned)size);
	ip[6] = next;
	ip[7] = 255; /* what neighbour discovery asks for: RFC 4861 7.1 */
	memcpy(ip + 8, source, 16);
	inet_pton(AF_INET6, WIRE_OWN6, ip + 24);
	return 40;
}

size_t wire_build(const struct segment *segment, uint8_t *frame)
{
	uint8_t source[16];
	uint8_t *ip = frame + 14;
	size_t header = 20 + segment->option_size;
	size_t size = header + segment->size;
	size_t ip_size;
	uint8_t *tcp;

	put_ethernet(frame, segment->v6);
	if (segment->v6) {
		inet_pton(AF_INET6, WIRE_PEER6, source);
		ip_size = put_ip6(ip, IPPROTO_TCP, source, size);
	} else {
		inet_pton(AF_INET, segment->source ? segment->source : WIRE_PEER, source);
		ip_size = put_ip4(ip, IPPROTO_TCP, source, size);
		if (segment->fragment)
			ip[6] = 0x20;
	}
	tcp = ip + ip_size;
	put16(tcp, segment->from);
	put16(tcp + 2, segment->to);
	put32(tcp + 4, segment->seq);
	put32(tcp + 8, segment->ack);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = segment->flags;
	put16(tcp + 14, segment->shut ? 0 : segment->window ? segment->window : 65535);
	if (segment->option_size)
		memcpy(tcp + 20, segment->options, segment->option_size);
	if (segment->size)
		memcpy(tcp + header, segment->data, segment->size);
	return 14 + ip_size + size;
}

void wire_put_segment(const struct segment *segment)
{
	uint8_t frame[2048] = { 0 };

	wire_put(frame, wire_build(segment, frame));
}

bool wire_get_segment(struct segment *segment)
{
	static uint8_t frame[2048];
	size_t size;

	while ((size = wire_get(frame, sizeof(frame))) != 0) {
		const uint8_t *ip = frame + 14;
		bool v6 = frame[12] == 0x86 && frame[13] == 0xdd;
		const uint8_t *tcp = ip + (v6 ? 40 : 20);
		size_t header;

		if (!(v6 && ip[6] == 6) && !(frame[12] == 8 && frame[13] == 0 && ip[9] == 6))
			continue;
		header = (tcp[12] >> 4) * 4u;
		*segment = (struct segment){
			.from = (uint16_t)(tcp[0] << 8 | tcp[1]),
			.to = (uint16_t)(tcp[2] << 8 | tcp[3]),
			.seq = get32(tcp + 4),
			.ack = get32(tcp + 8),
			.flags = tcp[13],
			.window = (uint16_t)(tcp[14] << 8 | tcp[15]),
			.options = tcp + 20,
			.option_size = header - 20,
			.data = tcp + header,
			.size = (v6 ? (size_t)(ip[4] << 8 | ip[5])
				    : (size_t)(ip[2] << 8 | ip[3]) - 20) -
				header,
			.v6 = v6,
			.dont_fragment = !v6 && (ip[6] & 0x40),
			.packet = ip,
		};
		return true;
	}
	return false;
}

size_t wire_icmp(uint8_t *frame, bool v6, const void *source, const void *message, size_t size)
{
	uint8_t *ip = frame + 14, *icmp = ip + (v6 ? 40 : 20);
	uint32_t pseudo = 0;

	memset(frame, 0, (size_t)(icmp - frame));
	put_ethernet(frame, v6);
	if (v6) {
		put_ip6(ip, IPPROTO_ICMPV6, source, size);
		pseudo = (uint32_t)size + IPPROTO_ICMPV6;
		for (int i = 0; i < 32; i += 2)
			pseudo += (uint32_t)ip[8 + i] << 8 | ip[9 + i];
	} else {
		put_ip4(ip, IPPROTO_ICMP, source, size);
	}
	memcpy(icmp, message, size);
	put16(icmp + 2, 0);
	put16(icmp + 2, wire_checksum(icmp, size, pseudo));
	return (size_t)(icmp - frame) + size;
}

/* RFC 4861 4.3, 4.4; both have an option with the sender's hardware address. */
static void put_neighbour(uint8_t type, uint8_t option, const void *source, const void *target)
{
	uint8_t message[32] = { type, [24] = option, [25] = 1 };
	uint8_t frame[86];

	if (type == ND_NEIGHBOR_ADVERT)
		message[4] = 0x60; /* solicited, override */
	memcpy(message + 8, target, 16);
	memcpy(message + 26, WIRE_PEER_MAC, 6);
	wire_put(frame, wire_icmp(frame, true, source, message, sizeof(message)));
}

void wire_put_solicitation(void)
{
	struct in6_addr peer, own;

	inet_pton(AF_INET6, WIRE_PEER6, &peer);
	inet_pton(AF_INET6, WIRE_OWN6, &own);
	put_neighbour(ND_NEIGHBOR_SOLICIT, ND_OPT_SOURCE_LINKADDR, &peer, &own);
}

void wire_put_advertisement(const uint8_t *address)
{
	put_neighbour(ND_NEIGHBOR_ADVERT, ND_OPT_TARGET_LINKADDR, address, address);
}

uint16_t wire_checksum(const uint8_t *bytes, size_t size, uint32_t start)
{
	uint32_t total = start;

	for (size_t i = 0; i < size; i++)
		total += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}
