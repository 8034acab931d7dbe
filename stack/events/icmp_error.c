/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP and ICMPv6 errors about the stack's own segments (lwip_hooks.h), as Linux's tcp_v4_err()
 * and tcp_v6_err(): an attempt to connect ends with the error; an established connection only
 * remembers it, unless the program has asked for more (IP_RECVERR); and the path's MTU is followed.
 * lwIP knows none of it. What is not about a segment in flight is ignored (RFC 5927 section 4): who
 * cannot see a connection cannot hurt it. Redirects and source quench are ignored too. Not for echo
 * or neighbour discovery: those are lwIP's.
 */
#include <errno.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "common/internet_checksum.h"
#include "common/network_order.h"
#include "stack/tcp/index.h"
#include "stack/instance_parts.h"
#include "stack/ip/sockaddr.h"
#include "stack/lwip/lwip_hooks.h"
#include "stack/tcp/path.h"
#include "stack/socket/socket.h"

#define ICMP_HEADER 8
#define IP4_HEADER  20
#define IP6_HEADER  40
#define TCP_START   8 /* RFC 792: so much of the segment is quoted, the ports and the number */

/* RFC 792 */
#define UNREACHABLE	   3
#define SOURCE_QUENCH	   4
#define REDIRECT	   5
#define TIME_EXCEEDED	   11
#define PARAMETER_PROBLEM  12
#define FRAGMENTING_NEEDED 4

/* RFC 4443 */
#define UNREACHABLE6   1
#define TOO_BIG6       2
#define TIME_EXCEEDED6 3
#define INFORMATION6   128
#define IP6_MTU_MIN    1280

/* What a message says of the segment that it quotes. */
struct verdict {
	int error;	/* what connect() is told */
	bool half_open; /* ends a half-open connection of a listener, too */
	bool too_big;
	uint32_t mtu;
};

/* Linux's icmp_err_convert[]; RFC 1122 3.2.2.1 has the codes up to 12, RFC 1812 those up to 15. */
static const int unreachable_errors[] = {
	ENETUNREACH,  EHOSTUNREACH, ENOPROTOOPT,  ECONNREFUSED, EMSGSIZE,     EOPNOTSUPP,
	ENETUNREACH,  EHOSTDOWN,    ENONET,	  ENETUNREACH,	EHOSTUNREACH, ENETUNREACH,
	EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH,
};
#define UNREACHABLE_CODES (sizeof(unreachable_errors) / sizeof(unreachable_errors[0]))

/* Linux's tab_unreach[] of icmpv6.c; half_open is its "fatal". */
static const struct verdict unreachable_errors6[] = {
	{ .error = ENETUNREACH },
	{ .error = EACCES, .half_open = true },
	{ .error = EHOSTUNREACH },
	{ .error = EHOSTUNREACH },
	{ .error = ECONNREFUSED, .half_open = true },
	{ .error = EACCES, .half_open = true },
	{ .error = EACCES, .half_open = true },
};
#define UNREACHABLE_CODES6 (sizeof(unreachable_errors6) / sizeof(unreachable_errors6[0]))

/* False: no error, or one that is none of TCP's business. */
static bool judge4(const uint8_t *icmp, struct verdict *verdict)
{
	unsigned code = icmp[1];

	switch (icmp[0]) {
	case UNREACHABLE:
		if (code >= UNREACHABLE_CODES)
			return false;
		verdict->error = unreachable_errors[code];
		verdict->half_open = code <= 1; /* the network or the host */
		verdict->too_big = code == FRAGMENTING_NEEDED;
		verdict->mtu = bytes_read16(icmp + 6);
		return true;
	case TIME_EXCEEDED:
		*verdict = (struct verdict){ .error = EHOSTUNREACH, .half_open = true };
		return true;
	case PARAMETER_PROBLEM:
		*verdict = (struct verdict){ .error = EPROTO, .half_open = true };
		return true;
	default:
		return false;
	}
}

static bool judge6(const uint8_t *icmp, struct verdict *verdict)
{
	unsigned code = icmp[1];

	/* An error that is not known is still an error, as in Linux. */
	*verdict = (struct verdict){ .error = EPROTO, .half_open = true };
	switch (icmp[0]) {
	case UNREACHABLE6:
		if (code < UNREACHABLE_CODES6)
			*verdict = unreachable_errors6[code];
		break;
	case TOO_BIG6:
		verdict->too_big = true;
		verdict->mtu = bytes_read32(icmp + 4);
		return verdict->mtu >= IP6_MTU_MIN; /* RFC 8201 section 4: no IPv6 link has less */
	case TIME_EXCEEDED6:
		*verdict = (struct verdict){ .error = EHOSTUNREACH };
		break;
	default:
		break;
	}
	return true;
}

/* The connection that has sent the quoted segment, if it is still in flight; else NULL. */
static struct tcp_pcb *find(const ip_addr_t *from, const ip_addr_t *to, const uint8_t *tcp)
{
	struct tcp_pcb *pcb = melin_index_find(from, bytes_read16(tcp), to, bytes_read16(tcp + 2));
	uint32_t sequence = bytes_read32(tcp + 4);

	if (!pcb || pcb->state == TIME_WAIT || pcb->state == CLOSED)
		return NULL;
	return TCP_SEQ_BETWEEN(sequence, pcb->lastack, pcb->snd_nxt) ? pcb : NULL;
}

/* As Linux: with IP_MINTTL, RFC 5082, the quoted packet must not have come from too far either. */
static bool is_near(const struct tcp_pcb *pcb, unsigned hops)
{
	const struct stack_socket *socket = socket_of(pcb);

	if (!socket)
		return true;
	return hops >= (unsigned)(IP_IS_V6_VAL(pcb->remote_ip) ? socket->options.least_hops
							       : socket->options.least_ttl);
}

static bool wants_errors(const struct stack_socket *socket)
{
	return IP_IS_V6_VAL(socket->remote) ? socket->options.receive_errors6
					    : socket->options.receive_errors;
}

static void apply(struct stack *stack, struct tcp_pcb *pcb, const struct verdict *verdict)
{
	struct stack_socket *socket = socket_of(pcb);

	if (pcb->state == SYN_RCVD) {
		if (verdict->half_open && !verdict->too_big && socket)
			listen_drop_embryo(socket);
		return;
	}
	if (verdict->too_big) {
		path_too_big(stack, pcb, verdict->mtu);
		return;
	}
	if (!socket)
		return; /* nobody is left to be told */
	if (pcb->state == SYN_SENT) {
		pcb_detach(socket);
		tcp_abandon(pcb, 0);
		socket_done(socket, verdict->error);
	} else if (wants_errors(socket)) {
		socket->error = verdict->error;
		socket_changed(socket, EPOLLERR);
	} else {
		socket->soft_error = verdict->error;
	}
}

/* The IPv4 packet that is quoted must be ours, of TCP, and with its beginning. */
static void quoted4(struct stack *stack, const uint8_t *ip, unsigned size,
		    const struct verdict *verdict)
{
	unsigned header = (ip[0] & 15) * 4u;
	ip_addr_t from, to;
	struct tcp_pcb *pcb;

	if (ip[0] >> 4 != 4 || header < IP4_HEADER || header + TCP_START > size ||
	    ip[9] != IP_PROTO_TCP || (bytes_read16(ip + 6) & 0x1fff))
		return;
	sockaddr_from_bytes(ip + 12, false, &from);
	sockaddr_from_bytes(ip + 16, false, &to);
	pcb = find(&from, &to, ip + header);
	if (pcb && is_near(pcb, ip[8]))
		apply(stack, pcb, verdict);
}

static void address6(struct stack *stack, const uint8_t *bytes, ip_addr_t *address)
{
	sockaddr_from_bytes(bytes, true, address);
	if (stack->netif_count) /* borrowed ones have no zone: adopt.c */
		ip6_addr_assign_zone(ip_2_ip6(address), IP6_UNICAST, &stack->netifs[0]);
}

static void quoted6(struct stack *stack, const uint8_t *ip, const struct verdict *verdict)
{
	ip_addr_t from, to;
	struct tcp_pcb *pcb;

	if (ip[0] >> 4 != 6 || ip[6] != IP_PROTO_TCP) /* ours have no extension headers */
		return;
	address6(stack, ip + 8, &from);
	address6(stack, ip + 24, &to);
	pcb = find(&from, &to, ip + IP6_HEADER);
	if (pcb && is_near(pcb, ip[7]))
		apply(stack, pcb, verdict);
}

static bool is_error4(unsigned type)
{
	return type == UNREACHABLE || type == SOURCE_QUENCH || type == REDIRECT ||
	       type == TIME_EXCEEDED || type == PARAMETER_PROBLEM;
}

/* Both hooks return whether the packet was an error, which lwIP is not to see. */
int melin_icmp_error(struct pbuf *packet)
{
	const uint8_t *ip = packet->payload;
	unsigned header = (ip[0] & 15) * 4u, total = bytes_read16(ip + 2), size = total - header;
	const uint8_t *icmp = ip + header;
	struct verdict verdict = { 0 };

	/* filter.c has compared the lengths; a message is in one piece if it is no echo. */
	if (total > packet->len || size < ICMP_HEADER || !is_error4(icmp[0]))
		return 0;
	if (size >= ICMP_HEADER + IP4_HEADER + TCP_START &&
	    checksum_fold(checksum_add(0, icmp, size)) == 0xffff && judge4(icmp, &verdict))
		quoted4(melin_instance, icmp + ICMP_HEADER, size - ICMP_HEADER, &verdict);
	pbuf_free(packet);
	return 1;
}

/* RFC 4443 2.3 */
static bool good_checksum6(const uint8_t *ip, const uint8_t *icmp, unsigned size)
{
	const uint32_t others = htons((uint16_t)size) + htons(IP6_NEXTH_ICMP6);
	const uint64_t sum = checksum_add(others, ip + 8, 32); /* both addresses */

	return checksum_fold(checksum_add(sum, icmp, size)) == 0xffff;
}

int melin_icmp_error6(struct pbuf *packet)
{
	const uint8_t *ip = packet->payload, *icmp = ip + IP6_HEADER;
	unsigned size = bytes_read16(ip + 4);
	struct verdict verdict;

	if (packet->len < IP6_HEADER + ICMP_HEADER || icmp[0] >= INFORMATION6)
		return 0;
	if (IP6_HEADER + size <= packet->len && size >= ICMP_HEADER + IP6_HEADER + TCP_START &&
	    good_checksum6(ip, icmp, size) && judge6(icmp, &verdict))
		quoted6(melin_instance, icmp + ICMP_HEADER, &verdict);
	pbuf_free(packet);
	return 1;
}
