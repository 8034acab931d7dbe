/* SPDX-License-Identifier: BSD-3-Clause */
/* See injection.h. */
#include "broker/injection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/route.h"
#include "broker/tap_socket.h"
#include "common/internet_checksum.h"
#include "common/network_order.h"
#include "common/system_call.h"

/* Linux's own first value (net.ipv4.ip_default_ttl); nobody looks at it here. */
#define HOPS 64

/* RFC 7323 appendix A: two NOPs, then kind, length, and the two values. */
#define TIMESTAMP_BYTES	  12
#define TIMESTAMP_LEADING 0x0101080a

/* A frame to be injected, and where its parts are. */
struct packet {
	uint8_t *frame;
	size_t length, ip, tcp; /* the last two are offsets */
	bool is_ipv4;
};

/* ---- checksums ---- */

/*
 * The sum of the pseudo-header. GRO may have put together more than the 16 bits for a length can
 * say.
 */
static uint64_t pseudo_header(const struct packet *packet, size_t length)
{
	return checksum_pseudo_header(packet->frame + packet->ip, length) +
	       htons((uint16_t)(length >> 16));
}

static uint8_t *checksum_of(const struct packet *packet)
{
	return packet->frame + packet->tcp + offsetof(struct tcphdr, check);
}

static uint16_t whole_sum(const struct packet *packet)
{
	const size_t length = packet->length - packet->tcp;

	return checksum_fold(
		checksum_add(pseudo_header(packet, length), packet->frame + packet->tcp, length));
}

static void put_checksum(uint8_t *field, uint16_t sum)
{
	sum = (uint16_t)~sum;
	memcpy(field, &sum, sizeof(sum));
}

/* IP's lengths and both checksums. */
static void finish(const struct packet *packet)
{
	uint8_t *ip = packet->frame + packet->ip, *check = ip + offsetof(struct iphdr, check);
	const size_t length = packet->length - packet->ip;

	if (packet->is_ipv4) {
		bytes_write16(ip + offsetof(struct iphdr, tot_len), (uint16_t)length);
		bytes_write16(check, 0);
		put_checksum(check, checksum_fold(checksum_add(0, ip, packet->tcp - packet->ip)));
	} else {
		bytes_write16(ip + offsetof(struct ip6_hdr, ip6_plen),
			      (uint16_t)(length - sizeof(struct ip6_hdr)));
	}
	bytes_write16(checksum_of(packet), 0);
	put_checksum(checksum_of(packet), whole_sum(packet));
}

/* ---- segments of no or one byte ---- */

static void write_ip(struct packet *packet, const struct loan_tuple *tuple)
{
	uint8_t *ip = packet->frame + packet->ip;

	if (packet->is_ipv4) {
		struct iphdr header = { .version = 4,
					.ihl = 5,
					.frag_off = htons(IP_DF),
					.ttl = HOPS,
					.protocol = IPPROTO_TCP };

		memcpy(&header.saddr, tuple->remote, sizeof(header.saddr));
		memcpy(&header.daddr, tuple->local, sizeof(header.daddr));
		memcpy(ip, &header, sizeof(header));
	} else {
		struct ip6_hdr header = { .ip6_flow = htonl(6u << 28),
					  .ip6_nxt = IPPROTO_TCP,
					  .ip6_hlim = HOPS };

		memcpy(&header.ip6_src, tuple->remote, sizeof(header.ip6_src));
		memcpy(&header.ip6_dst, tuple->local, sizeof(header.ip6_dst));
		memcpy(ip, &header, sizeof(header));
	}
}

static uint16_t window_of(const struct connection_state *state)
{
	const uint32_t window = state->send_window >> (state->scaled ? state->send_scale : 0);

	return window < UINT16_MAX ? (uint16_t)window : UINT16_MAX;
}

/* A FIN or RST that one end sends, or its urgent byte, or a probe, and what it says besides. */
struct segment {
	struct loan_tuple tuple; /* remote is who sends it */
	const uint8_t *from, *to;
	uint32_t number, acknowledgment, timestamp, echoed;
	uint16_t window;
	uint16_t pointer; /* to urgent data, with TH_URG */
	uint8_t flags;	  /* TH_FIN, TH_RST, TH_URG */
	bool timestamps;
	const uint8_t *data; /* one byte, or NULL */
};

static void write_tcp(struct packet *packet, const struct segment *segment)
{
	struct tcphdr header = { .source = segment->tuple.remote_port,
				 .dest = segment->tuple.local_port,
				 .seq = htonl(segment->number),
				 .ack_seq = htonl(segment->acknowledgment),
				 .doff = (uint16_t)((packet->length - packet->tcp) / 4) & 0xf,
				 .ack = 1,
				 .rst = !!(segment->flags & TH_RST),
				 .fin = !!(segment->flags & TH_FIN),
				 .urg = !!(segment->flags & TH_URG),
				 .window = htons(segment->window),
				 .urg_ptr = htons(segment->pointer) };
	const uint32_t timestamps[] = { htonl(TIMESTAMP_LEADING), htonl(segment->timestamp),
					htonl(segment->echoed) };

	memcpy(packet->frame + packet->tcp, &header, sizeof(header));
	if (segment->timestamps)
		memcpy(packet->frame + packet->tcp + sizeof(header), timestamps,
		       sizeof(timestamps));
	if (segment->data)
		packet->frame[packet->length++] = *segment->data;
}

#define SEGMENT_BYTES                                                                              \
	(ETH_HLEN + sizeof(struct ip6_hdr) + sizeof(struct tcphdr) + TIMESTAMP_BYTES + 1)

/* Returns how long the frame is. */
static size_t make_segment(uint8_t frame[SEGMENT_BYTES], const struct segment *segment)
{
	const bool is_ipv4 = segment->tuple.family == AF_INET;
	struct packet packet = { .frame = frame, .ip = ETH_HLEN, .is_ipv4 = is_ipv4 };

	packet.tcp = packet.ip + (is_ipv4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr));
	packet.length =
		packet.tcp + sizeof(struct tcphdr) + (segment->timestamps ? TIMESTAMP_BYTES : 0);
	memcpy(frame, segment->to, ETH_ALEN);
	memcpy(frame + ETH_ALEN, segment->from, ETH_ALEN);
	bytes_write16(frame + offsetof(struct ethhdr, h_proto), is_ipv4 ? ETH_P_IP : ETH_P_IPV6);
	write_ip(&packet, &segment->tuple);
	write_tcp(&packet, segment);
	finish(&packet);
	return packet.length;
}

/* ---- the peer's ---- */

/*
 * The segment acknowledges what the peer has acknowledged before, with the window as it was: but
 * for what is given here it says nothing new.
 */
static int inject(const struct loan *loan, const struct connection_state *state, uint32_t number,
		  uint8_t flags, uint16_t pointer, const uint8_t *data)
{
	const struct segment segment = { .tuple = loan->tuple,
					 .from = loan->path.destination,
					 .to = loan->path.source,
					 .number = number,
					 .acknowledgment = state->send_unacknowledged,
					 .timestamp = state->timestamp_recent,
					 .echoed = state->timestamp,
					 .window = window_of(state),
					 .pointer = pointer,
					 .flags = flags,
					 .timestamps = state->timestamps,
					 .data = data };
	uint8_t frame[SEGMENT_BYTES];

	return tap_inject(loan->tuple.interface, frame, make_segment(frame, &segment));
}

int injection_end(const struct loan *loan, const struct connection_state *state)
{
	int error = 0;

	if (state->remote_closed)
		error = inject(loan, state, state->receive_next, TH_FIN, 0, NULL);
	if (state->remote_reset)
		error = error
				?: inject(loan, state, state->receive_next + state->remote_closed,
					  TH_RST, 0, NULL);
	return error;
}

/*
 * A pointer of 0 names the first byte whichever way the kernel reads it, and others the byte in
 * front of them (tcp(7), tcp_stdurg).
 */
int injection_urgent(const struct loan *loan, const struct connection_state *state)
{
	const uint32_t first = state->receive_next - (uint32_t)state->receive_size;
	const uint32_t ahead = state->urgent_number - state->receive_next;

	if (state->urgent != CONNECTION_URGENT_AWAITED)
		return inject(loan, state, state->urgent_number, TH_URG, 0,
			      state->receive_data + (state->urgent_number - first));
	if (ahead >= UINT16_MAX)
		return -ERANGE;
	return inject(loan, state, state->receive_next, TH_URG, ahead ? (uint16_t)(ahead + 1) : 0,
		      NULL);
}

/* ---- this end ---- */

/* A RST behind all that was sent. */
static struct segment reset_of(const struct connection_path *path,
			       const struct connection_state *state)
{
	struct segment segment = { .from = path->source,
				   .to = path->destination,
				   .number = state->send_unacknowledged +
					     (uint32_t)connection_state_sent(state),
				   .acknowledgment = state->receive_next,
				   .timestamp = state->timestamp,
				   .echoed = state->timestamp_recent,
				   .flags = TH_RST,
				   .timestamps = state->timestamps };

	route_tuple(&state->remote, &state->local, &segment.tuple);
	return segment;
}

static void send_by(int tap, unsigned interface, const struct segment *segment)
{
	const uint16_t protocol = segment->tuple.family == AF_INET ? ETH_P_IP : ETH_P_IPV6;
	const struct sockaddr_ll to = { .sll_family = AF_PACKET,
					.sll_protocol = htons(protocol),
					.sll_ifindex = (int)interface,
					.sll_halen = ETH_ALEN };
	struct {
		struct virtio_net_hdr none; /* the tap has PACKET_VNET_HDR */
		uint8_t frame[SEGMENT_BYTES];
	} message = { 0 };
	const size_t length = sizeof(message.none) + make_segment(message.frame, segment);

	kernel_call6(SYS_sendto, tap, (long)&message, (long)length, MSG_DONTWAIT | MSG_NOSIGNAL,
		     (long)&to, sizeof(to));
}

void injection_reset_peer(int tap, const struct connection_path *path,
			  const struct connection_state *state)
{
	const struct segment segment = reset_of(path, state);

	send_by(tap, path->interface, &segment);
}

void injection_prepare_probe(const struct connection_state *state, struct injection_probe *probe)
{
	*probe = (struct injection_probe){ .number = state->send_unacknowledged - 1,
					   .acknowledgment = state->receive_next,
					   .timestamp = state->timestamp,
					   .echoed = state->timestamp_recent,
					   .timestamps = state->timestamps };
}

void injection_probe_peer(int tap, const struct loan *loan, const struct injection_probe *probe)
{
	static const uint8_t any = 0;
	const struct loan_tuple *tuple = &loan->tuple;
	struct segment segment = { .tuple = { .remote_port = tuple->local_port,
					      .local_port = tuple->remote_port,
					      .family = tuple->family },
				   .from = loan->path.source,
				   .to = loan->path.destination,
				   .number = probe->number,
				   .acknowledgment = probe->acknowledgment,
				   .timestamp = probe->timestamp,
				   .echoed = probe->echoed,
				   .timestamps = probe->timestamps,
				   .data = &any };

	memcpy(segment.tuple.remote, tuple->local, sizeof(tuple->local));
	memcpy(segment.tuple.local, tuple->remote, sizeof(tuple->remote));
	send_by(tap, loan->path.interface, &segment);
}

/* ---- what was kept ---- */

/* Only frames that tap_program.c lets pass come here, and fragments, which nobody needs. */
static bool find_parts(struct packet *packet)
{
	const uint8_t *ip = packet->frame + ETH_HLEN;
	size_t ip_length;

	packet->ip = ETH_HLEN;
	if (packet->length < ETH_HLEN + sizeof(struct iphdr))
		return false;
	packet->is_ipv4 = ip[0] >> 4 == 4;
	if (packet->is_ipv4) {
		packet->tcp = packet->ip + (ip[0] & 0xfu) * 4;
		ip_length = bytes_read16(ip + offsetof(struct iphdr, tot_len));
		if (bytes_read16(ip + offsetof(struct iphdr, frag_off)) & IP_MF)
			return false;
	} else {
		packet->tcp = packet->ip + sizeof(struct ip6_hdr);
		if (packet->length < packet->tcp ||
		    ip[offsetof(struct ip6_hdr, ip6_nxt)] != IPPROTO_TCP)
			return false;
		ip_length = sizeof(struct ip6_hdr) +
			    bytes_read16(ip + offsetof(struct ip6_hdr, ip6_plen));
	}
	/* Behind the packet of a short frame there is padding. */
	if (packet->length > packet->ip + ip_length)
		packet->length = packet->ip + ip_length;
	return packet->length >= packet->tcp + sizeof(struct tcphdr);
}

/*
 * A frame that was never on a wire, or that GRO has put together, has the sum of the pseudo header
 * instead of its checksum; any other has to be whole to be judged.
 */
static bool is_good(const struct packet *packet, size_t whole_length)
{
	uint16_t field;

	memcpy(&field, checksum_of(packet), sizeof(field));
	if (field == checksum_fold(pseudo_header(packet, whole_length - packet->tcp)))
		return true;
	return packet->length == whole_length && whole_sum(packet) == UINT16_MAX;
}

/* Without the padding behind the packet of a short frame. */
static size_t whole_length_of(const struct packet *packet, const struct tap_kept *kept)
{
	return packet->length < kept->size ? packet->length : kept->length;
}

/*
 * A part of a longer segment, skipped bytes of whose data come before it. A FIN stands behind the
 * last byte, and the urgent pointer counts from the first.
 */
static void make_part(const struct packet *packet, uint32_t skipped, bool is_last)
{
	uint8_t *tcp = packet->frame + packet->tcp,
		*flags = tcp + offsetof(struct tcphdr, th_flags);
	uint8_t *sequence = tcp + offsetof(struct tcphdr, seq);
	uint8_t *pointer = tcp + offsetof(struct tcphdr, urg_ptr);

	if (!is_last)
		*flags &= (uint8_t)~TH_FIN;
	bytes_write32(sequence, bytes_read32(sequence) + skipped);
	if (!skipped || !(*flags & TH_URG))
		return;
	if (bytes_read16(pointer) > skipped) {
		bytes_write16(pointer, (uint16_t)(bytes_read16(pointer) - skipped));
	} else {
		*flags &= (uint8_t)~TH_URG;
		bytes_write16(pointer, 0);
	}
}

/* Behind the headers comes the data of the part alone. Returns how much of it was before that. */
static uint32_t close_gap(struct packet *packet, const struct tap_kept *kept)
{
	const uint8_t *tcp = packet->frame + packet->tcp;
	const size_t data = packet->tcp + (tcp[12] >> 4) * 4u; /* doff, which is no byte */
	const size_t size = kept->size - TAP_KEPT_HEADERS;

	memmove(packet->frame + data, packet->frame + TAP_KEPT_HEADERS, size);
	packet->length = data + size;
	return (uint32_t)(kept->offset - data);
}

static bool has_data(const struct packet *packet)
{
	const struct tcphdr *header = (const void *)(packet->frame + packet->tcp);

	return packet->length > packet->tcp + header->doff * 4u;
}

static void put_in(const struct tap_kept *kept, bool bare)
{
	const size_t end = kept->offset ? kept->offset + kept->size - TAP_KEPT_HEADERS : kept->size;
	uint8_t frame[TAP_KEPT_BYTES];
	struct packet packet = { .frame = frame, .length = kept->size };
	size_t whole;

	memcpy(frame, kept->frame, packet.length);
	if (!find_parts(&packet) || (bare && has_data(&packet)))
		return;
	whole = whole_length_of(&packet, kept);
	if (!is_good(&packet, whole))
		return;
	make_part(&packet, kept->offset ? close_gap(&packet, kept) : 0, end >= whole);
	finish(&packet);
	tap_inject(kept->interface, frame, packet.length);
}

void injection_kept(const struct tap_kept *kept)
{
	put_in(kept, false);
}

void injection_kept_bare(const struct tap_kept *kept)
{
	put_in(kept, true);
}
