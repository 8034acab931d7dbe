/* SPDX-License-Identifier: BSD-3-Clause */
/* See stand_in.h. */
#include "tests/unit/broker/stand_in.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/network_order.h"

struct frame {
	struct virtio_net_hdr offload;
	uint8_t bytes[70000];
};

static struct frame last;
static size_t last_size;

const void *stand_in_last_frame(size_t *size)
{
	*size = last_size;
	return last.bytes;
}

/* ---- receiving ---- */

struct segment {
	struct tcphdr header;
	uint16_t local_port;
	const uint8_t *payload;
	size_t length;
};

static bool read_segment(int tap, struct segment *segment)
{
	const uint8_t *ip = last.bytes + ETHER_HDR_LEN;
	ssize_t size = recv(tap, &last, sizeof(last), MSG_DONTWAIT);
	size_t header, length;

	if (size < 0)
		return false;
	last_size = (size_t)size - sizeof(last.offload);
	if (ip[0] >> 4 == 4) {
		header = (ip[0] & 15u) * 4;
		length = bytes_read16(ip + 2);
	} else {
		header = sizeof(struct ip6_hdr);
		length = header + bytes_read16(ip + 4);
	}
	memcpy(&segment->header, ip + header, sizeof(segment->header));
	header += (size_t)segment->header.doff * 4;
	segment->payload = ip + header;
	segment->length = length - header;
	return true;
}

/* RFC 7323 appendix A: where all that Linux sends has it. */
static void take_timestamp(const struct segment *segment, struct connection_state *state)
{
	if (state->timestamps)
		state->timestamp_recent = bytes_read32(segment->payload - 8);
}

static uint16_t port_of(const struct sockaddr_storage *name)
{
	/* At the same place in both. */
	return ((const struct sockaddr_in *)name)->sin_port;
}

static void take_segment(const struct segment *segment, struct connection_state *state)
{
	const uint32_t skip = state->receive_next - ntohl(segment->header.seq);
	const size_t fresh = segment->length - skip;

	if (segment->header.source != port_of(&state->remote) || skip > segment->length)
		return;
	take_timestamp(segment, state);
	state->receive_data = realloc(state->receive_data, state->receive_size + fresh + 1);
	memcpy(state->receive_data + state->receive_size, segment->payload + skip, fresh);
	state->receive_size += fresh;
	state->receive_next += (uint32_t)fresh;
	state->remote_closed |= segment->header.fin;
	state->remote_reset |= segment->header.rst;
}

unsigned stand_in_receive(int tap, struct connection_state *state)
{
	struct segment segment;
	unsigned frames = 0;

	for (; read_segment(tap, &segment); frames++)
		take_segment(&segment, state);
	return frames;
}

/* ---- acknowledging ---- */

static uint16_t checksum(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (; size > 1; bytes += 2, size -= 2)
		sum += bytes_read16(bytes);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t) ~(sum + (sum >> 16)));
}

static uint32_t sum_of(const void *data, size_t size)
{
	return (uint16_t)~ntohs(checksum(0, data, size));
}

static size_t write_ip(uint8_t *ip, const struct connection_state *state, size_t length,
		       uint32_t *pseudo)
{
	const struct sockaddr_in *in = (const void *)&state->local,
				 *to = (const void *)&state->remote;
	const struct sockaddr_in6 *in6 = (const void *)in, *to6 = (const void *)to;
	const bool is_mapped = in->sin_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
	struct iphdr header = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP };
	struct ip6_hdr header6 = { .ip6_flow = htonl(6u << 28),
				   .ip6_nxt = IPPROTO_TCP,
				   .ip6_hlim = 64 };

	*pseudo = IPPROTO_TCP + (uint32_t)length;
	if (in->sin_family == AF_INET6 && !is_mapped) {
		header6.ip6_plen = htons((uint16_t)length);
		header6.ip6_src = in6->sin6_addr;
		header6.ip6_dst = to6->sin6_addr;
		memcpy(ip, &header6, sizeof(header6));
		*pseudo += sum_of(&header6.ip6_src, 32);
		return sizeof(header6);
	}
	header.tot_len = htons((uint16_t)(sizeof(header) + length));
	memcpy(&header.saddr, is_mapped ? &in6->sin6_addr.s6_addr[12] : (const void *)&in->sin_addr,
	       4);
	memcpy(&header.daddr, is_mapped ? &to6->sin6_addr.s6_addr[12] : (const void *)&to->sin_addr,
	       4);
	header.check = checksum(0, &header, sizeof(header));
	memcpy(ip, &header, sizeof(header));
	*pseudo += sum_of(&header.saddr, 8);
	return sizeof(header);
}

static size_t write_tcp(uint8_t *tcp, const struct connection_state *state)
{
	const uint32_t options[] = { htonl(0x0101080a), htonl(state->timestamp),
				     htonl(state->timestamp_recent) };
	const size_t length = sizeof(struct tcphdr) + (state->timestamps ? sizeof(options) : 0);
	const uint32_t window = state->receive_window >> (state->scaled ? state->receive_scale : 0);
	const struct tcphdr header = { .source = port_of(&state->local),
				       .dest = port_of(&state->remote),
				       .seq = htonl(state->send_unacknowledged),
				       .ack_seq = htonl(state->receive_next),
				       .doff = (uint16_t)(length / 4) & 15,
				       .ack = 1,
				       .window = htons((uint16_t)window) };

	memcpy(tcp, &header, sizeof(header));
	if (state->timestamps)
		memcpy(tcp + sizeof(header), options, sizeof(options));
	return length;
}

bool stand_in_acknowledge(int tap, struct connection_state *state)
{
	struct {
		struct virtio_net_hdr offload;
		uint8_t bytes[128];
	} frame = { 0 };
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)state->path.interface,
				  .sll_halen = ETHER_ADDR_LEN };
	uint8_t *ip = frame.bytes + ETHER_HDR_LEN, *tcp, segment[64];
	size_t length = write_tcp(segment, state), size;
	uint16_t check;
	uint32_t pseudo;

	memcpy(frame.bytes, state->path.destination, ETHER_ADDR_LEN);
	memcpy(frame.bytes + ETHER_ADDR_LEN, state->path.source, ETHER_ADDR_LEN);
	tcp = ip + write_ip(ip, state, length, &pseudo);
	memcpy(frame.bytes + 12, ip[0] >> 4 == 4 ? "\x08\x00" : "\x86\xdd", 2);
	to.sll_protocol = ip[0] >> 4 == 4 ? htons(ETHERTYPE_IP) : htons(ETHERTYPE_IPV6);
	check = checksum(pseudo, segment, length);
	memcpy(segment + offsetof(struct tcphdr, check), &check, sizeof(check));
	memcpy(tcp, segment, length);
	size = sizeof(frame.offload) + (size_t)(tcp - frame.bytes) + length;
	state->receive_window_start = state->receive_next;
	return sendto(tap, &frame, size, 0, (const struct sockaddr *)&to, sizeof(to)) ==
	       (ssize_t)size;
}
