// SPDX-License-Identifier: BSD-3-Clause
/*
 * The eBPF programs of the tap: which frames its packet socket shows (tap_filter), which do not
 * reach the kernel's TCP (tap_ingress, at the tcx ingress of an interface). A packet socket for all
 * protocols sees a frame just before the ingress does, so both judge it alike, by the same
 * function.
 * Two more do next to nothing: one lets the process put a frame in (tap_inject), one is the filter
 * of sockets that are to hear nothing (tap_silence).
 *
 * Compiled by clang at build time; the instructions of each section become an array in
 * tap_instructions.h. No libbpf, hence no relocations: maps are found by place holders
 * (tap_program.h), and everything is inlined.
 *
 * Frames are not checked here: the kernel and the stack each do that for their own.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tap_program.h"

/* As struct loan_tuple of lender.h; tap_socket.c asserts the size. */
struct tuple {
	__u32 remote[4], local[4];
	__u32 ports; /* the sender's, then the receiver's: as in the TCP header */
	__u32 interface;
	__u32 family;
};

#define FAMILY_IPV4 2  /* AF_INET */
#define FAMILY_IPV6 10 /* AF_INET6 */

#define VLAN_ID_MASK 0x0fff

#define NEXT_HOP_BY_HOP 0
#define NEXT_FRAGMENT	44
#define NEXT_ICMP	58

/* Of ICMP's header, in both families. */
#define ICMP_BYTES 8

/* tcx: linux/bpf.h, enum tcx_action_base (Linux 6.6). */
#define TCX_NEXT (-1)
#define TCX_DROP 2

#define PLACE(number)                                                                              \
	({                                                                                         \
		void *place;                                                                       \
		asm volatile("%0 = " number " ll" : "=r"(place));                                  \
		place;                                                                             \
	})
#define TEXT(number)  TEXT_(number)
#define TEXT_(number) #number
#define TUPLES	      PLACE(TEXT(TAP_PLACE_TUPLES))
#define SLOTS	      PLACE(TEXT(TAP_PLACE_SLOTS))
#define RING	      PLACE(TEXT(TAP_PLACE_RING))
#define MARKS	      PLACE(TEXT(TAP_PLACE_MARKS))
#define OWNER	      ((__u32)(long)PLACE(TEXT(TAP_PLACE_OWNER)))

struct ipv4_and_ports {
	__u8 version_and_length, service;
	__u16 total, identification, fragment;
	__u8 time_to_live, protocol;
	__u16 checksum;
	__u32 source, destination;
	__u32 ports; /* if there are no options */
};

struct ipv6_and_ports {
	__u32 version_and_flow;
	__u16 payload;
	__u8 next, hop_limit;
	__u32 source[4], destination[4];
	__u32 ports; /* if TCP is next */
};

/* The two extension headers that are let pass: both are of eight bytes. */
struct extension_and_ports {
	__u8 next, length;
	__u16 fragment;
	__u32 rest;
	__u32 ports;
};

struct tcp_beginning {
	__u32 ports, sequence, acknowledgment;
	__u8 offset, flags;
	__u16 window, checksum, urgent;
	__u8 options[4];
};

#define FLAG_SYN 0x02

/*
 * Of the fragments of a packet only the first one has ports. It is shown, so that the stack gets to
 * know of fragments.
 */
static __always_inline int read_ipv4(struct __sk_buff *frame, struct tuple *tuple)
{
	struct ipv4_and_ports header;
	int tcp;

	if (bpf_skb_load_bytes(frame, ETH_HLEN, &header, sizeof(header)) < 0 ||
	    header.protocol != IPPROTO_TCP || header.fragment & bpf_htons(0x1fff))
		return 0;
	tcp = ETH_HLEN + (header.version_and_length & 0xf) * 4;
	tuple->ports = header.ports;
	if (header.version_and_length != 0x45 &&
	    bpf_skb_load_bytes(frame, tcp, &tuple->ports, 4) < 0)
		return 0;
	tuple->remote[0] = header.source;
	tuple->local[0] = header.destination;
	tuple->family = FAMILY_IPV4;
	return tcp;
}

/* GRO makes packets of more than 64 KiB with a hop-by-hop header ("BIG TCP"). */
static __always_inline int read_extension(struct __sk_buff *frame, __u8 next, struct tuple *tuple)
{
	const int at = ETH_HLEN + offsetof(struct ipv6_and_ports, ports);
	struct extension_and_ports header;

	if ((next != NEXT_HOP_BY_HOP && next != NEXT_FRAGMENT) ||
	    bpf_skb_load_bytes(frame, at, &header, sizeof(header)) < 0 ||
	    header.next != IPPROTO_TCP || header.length != 0 ||
	    (next == NEXT_FRAGMENT && header.fragment & bpf_htons(0xfff8)))
		return 0;
	tuple->ports = header.ports;
	return at + offsetof(struct extension_and_ports, ports);
}

static __always_inline int read_ipv6(struct __sk_buff *frame, struct tuple *tuple)
{
	struct ipv6_and_ports header;
	int tcp = ETH_HLEN + offsetof(struct ipv6_and_ports, ports);

	if (bpf_skb_load_bytes(frame, ETH_HLEN, &header, sizeof(header)) < 0)
		return 0;
	tuple->ports = header.ports;
	if (header.next != IPPROTO_TCP)
		tcp = read_extension(frame, header.next, tuple);
	__builtin_memcpy(tuple->remote, header.source, sizeof(tuple->remote));
	__builtin_memcpy(tuple->local, header.destination, sizeof(tuple->local));
	tuple->family = FAMILY_IPV6;
	return tcp;
}

/* For other hosts, and of VLANs that have no interface: the kernel's IP gets neither. */
static __always_inline int is_for_others(const struct __sk_buff *frame)
{
	return frame->pkt_type != 0 || (frame->vlan_present && frame->vlan_tci & VLAN_ID_MASK);
}

/* Where the TCP header is; 0: this is no segment for this host. */
static __always_inline int read_tuple(struct __sk_buff *frame, struct tuple *tuple)
{
	__builtin_memset(tuple, 0, sizeof(*tuple));
	tuple->interface = frame->ifindex;
	if (is_for_others(frame))
		return 0;
	if (frame->protocol == bpf_htons(ETH_P_IP))
		return read_ipv4(frame, tuple);
	if (frame->protocol == bpf_htons(ETH_P_IPV6))
		return read_ipv6(frame, tuple);
	return 0;
}

/* The quoted segment is one that this host has sent: its receiver's port is the remote one. */
static __always_inline __u32 turned(__u32 ports)
{
	return ports << 16 | ports >> 16;
}

/* RFC 792: an error quotes the packet that it is about behind a header of eight bytes. */
static __always_inline int read_quoted4(struct __sk_buff *frame, struct tuple *tuple)
{
	const int at = ETH_HLEN + offsetof(struct ipv4_and_ports, ports);
	struct ipv4_and_ports outer, quoted;

	if (bpf_skb_load_bytes(frame, ETH_HLEN, &outer, sizeof(outer)) < 0 ||
	    outer.version_and_length != 0x45 || outer.protocol != IPPROTO_ICMP ||
	    bpf_skb_load_bytes(frame, at + ICMP_BYTES, &quoted, sizeof(quoted)) < 0 ||
	    quoted.version_and_length != 0x45 || quoted.protocol != IPPROTO_TCP)
		return 0;
	tuple->remote[0] = quoted.destination;
	tuple->local[0] = quoted.source;
	tuple->ports = turned(quoted.ports);
	tuple->family = FAMILY_IPV4;
	return 1;
}

/* RFC 4443 has them the same. */
static __always_inline int read_quoted6(struct __sk_buff *frame, struct tuple *tuple)
{
	const int at = ETH_HLEN + offsetof(struct ipv6_and_ports, ports);
	struct ipv6_and_ports packet;

	if (bpf_skb_load_bytes(frame, ETH_HLEN, &packet, sizeof(packet)) < 0 ||
	    packet.next != NEXT_ICMP ||
	    bpf_skb_load_bytes(frame, at + ICMP_BYTES, &packet, sizeof(packet)) < 0 ||
	    packet.next != IPPROTO_TCP)
		return 0;
	__builtin_memcpy(tuple->remote, packet.destination, sizeof(tuple->remote));
	__builtin_memcpy(tuple->local, packet.source, sizeof(tuple->local));
	tuple->ports = turned(packet.ports);
	tuple->family = FAMILY_IPV6;
	return 1;
}

/*
 * Whether this is a message of ICMP about a segment of this host's. Its type is the stack's to look
 * at: what is no error quotes nothing.
 */
static __always_inline int read_quoted(struct __sk_buff *frame, struct tuple *tuple)
{
	if (is_for_others(frame))
		return 0;
	if (frame->protocol == bpf_htons(ETH_P_IP))
		return read_quoted4(frame, tuple);
	if (frame->protocol == bpf_htons(ETH_P_IPV6))
		return read_quoted6(frame, tuple);
	return 0;
}

static __always_inline int is_marked(const struct tuple *tuple)
{
	const __u32 end = tuple->family == FAMILY_IPV4 ? tuple->remote[0] : tuple->remote[3];
	const __u32 mark = tap_mark(tuple->ports, end), zero = 0;
	const __u8 *marks = bpf_map_lookup_elem(MARKS, &zero);

	return marks && marks[mark / 8 % TAP_MARK_BYTES] & 1u << mark % 8;
}

static __always_inline struct tap_slot *find(const struct tuple *tuple, __u32 *number)
{
	const __u32 *found = is_marked(tuple) ? bpf_map_lookup_elem(TUPLES, tuple) : NULL;

	if (!found)
		return NULL;
	*number = *found;
	return bpf_map_lookup_elem(SLOTS, number);
}

/* Linux puts a signature in front of all other options: MD5 behind two NOPs, TCP-AO at once. */
static __always_inline int is_signed(const struct tcp_beginning *tcp)
{
	return (tcp->options[2] == 19 && tcp->options[3] == 18) || tcp->options[0] == 29;
}

/*
 * Where the packet ends in its frame, which may be padded. The largest packets of GRO's do not say
 * how long they are.
 */
static __always_inline __u32 end_of(struct __sk_buff *frame)
{
	const int is_ipv4 = frame->protocol == bpf_htons(ETH_P_IP);
	__u16 length = 0;

	if (bpf_skb_load_bytes(frame,
			       ETH_HLEN + (is_ipv4 ? offsetof(struct ipv4_and_ports, total)
						   : offsetof(struct ipv6_and_ports, payload)),
			       &length, sizeof(length)) < 0 ||
	    !length)
		return frame->len;
	return ETH_HLEN + (is_ipv4 ? 0 : offsetof(struct ipv6_and_ports, ports)) +
	       bpf_ntohs(length);
}

static __always_inline void notice(struct __sk_buff *frame, int at, struct tap_slot *slot, __u32 by)
{
	struct tcp_beginning tcp = {};

	if (bpf_skb_load_bytes(frame, at, &tcp, sizeof(tcp)) < 0 &&
	    bpf_skb_load_bytes(frame, at, &tcp, offsetof(struct tcp_beginning, options)) < 0)
		return;
	/* What comes behind a header without options is data. */
	if (tcp.offset >> 4 > 5 && is_signed(&tcp))
		slot->seen |= TAP_SEEN_SIGNED;
	slot->end = bpf_ntohl(tcp.sequence) + end_of(frame) - at - (tcp.offset >> 4) * 4;
	slot->acknowledgment = tcp.acknowledgment;
	slot->seen |= by;
}

SEC("filter")
int tap_filter(struct __sk_buff *frame)
{
	struct tap_slot *slot;
	struct tuple tuple;
	__u32 number;
	int tcp = read_tuple(frame, &tuple);

	/* The kernel gets messages of ICMP, too; it heeds none of what its socket has not sent. */
	if (!tcp && !read_quoted(frame, &tuple))
		return 0;
	slot = find(&tuple, &number);
	if (!slot || slot->owner != OWNER)
		return 0;
	if (!tcp)
		return slot->state == TAP_BORROWED ? -1 : 0;
	if (slot->state == TAP_PASSED || slot->state == TAP_BORROWED)
		return -1; /* all of it */
	if (slot->state == TAP_WATCHED)
		notice(frame, tcp, slot, TAP_SEEN_BY_FILTER);
	return 0;
}

/*
 * Somebody has closed the twin behind melin's back, or it has come to its end: a new connection
 * with the same tuple must not find its frames gone.
 */
static __always_inline int is_stale(struct __sk_buff *frame, int at, const struct tuple *tuple)
{
	struct bpf_sock_tuple name = {};
	struct bpf_sock *twin;
	__u8 flags = 0;
	int established;

	if (bpf_skb_load_bytes(frame, at + offsetof(struct tcp_beginning, flags), &flags, 1) < 0 ||
	    !(flags & FLAG_SYN))
		return 0;
	if (tuple->family == FAMILY_IPV4) {
		name.ipv4.saddr = tuple->remote[0];
		name.ipv4.daddr = tuple->local[0];
		__builtin_memcpy(&name.ipv4.sport, &tuple->ports, 4);
		twin = bpf_skc_lookup_tcp(frame, &name, sizeof(name.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(name.ipv6.saddr, tuple->remote, sizeof(tuple->remote));
		__builtin_memcpy(name.ipv6.daddr, tuple->local, sizeof(tuple->local));
		__builtin_memcpy(&name.ipv6.sport, &tuple->ports, 4);
		twin = bpf_skc_lookup_tcp(frame, &name, sizeof(name.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!twin)
		return 1;
	established = twin->state == BPF_TCP_ESTABLISHED;
	bpf_sk_release(twin);
	return !established;
}

/*
 * Keeps the part of the frame that begins at the offset; length: from there to the frame's end.
 * headers: TAP_KEPT_HEADERS, or 0 for the first part; a constant, since for a broker, which has not
 * CAP_PERFMON, no address may depend on the path. Returns whether it is kept and more follows.
 */
static __always_inline int keep_part(struct __sk_buff *frame, const struct tuple *tuple,
				     __u32 number, const struct tap_slot *slot, __u32 headers,
				     __u32 offset, __u64 length)
{
	struct tap_kept *kept = bpf_ringbuf_reserve(RING, sizeof(*kept), 0);
	const int is_last = length <= TAP_KEPT_BYTES - headers;

	if (!kept)
		return 0;
	kept->slot = number;
	kept->generation = slot->generation;
	kept->interface = tuple->interface;
	kept->length = frame->len;
	kept->offset = offset;
	if (!is_last)
		length = TAP_KEPT_BYTES - headers;
	kept->size = headers + (__u32)length;
	/* The verifier has to find the limits in the register that is used. */
	asm volatile("" : "+r"(length));
	if (length < 1 || length > TAP_KEPT_BYTES - headers ||
	    (headers && bpf_skb_load_bytes(frame, 0, kept->frame, headers) < 0) ||
	    bpf_skb_load_bytes(frame, (int)offset, kept->frame + headers, (__u32)length) < 0) {
		bpf_ringbuf_discard(kept, BPF_RB_NO_WAKEUP);
		return 0;
	}
	bpf_ringbuf_submit(kept, BPF_RB_NO_WAKEUP);
	return !is_last;
}

/*
 * What there is no room for any more is lost, as on a wire. The verifier goes through the loop as
 * often as it may run, and has to find the one way that goes on.
 */
static __always_inline void keep(struct __sk_buff *frame, const struct tuple *tuple, __u32 number,
				 const struct tap_slot *slot)
{
	__u32 offset = TAP_KEPT_BYTES;

	if (!keep_part(frame, tuple, number, slot, 0, 0, frame->len))
		return;
#pragma clang loop unroll(disable)
	for (int i = 1; i < TAP_KEPT_PARTS; i++) {
		if (!keep_part(frame, tuple, number, slot, TAP_KEPT_HEADERS, offset,
			       (__u64)frame->len - offset))
			return;
		offset += TAP_KEPT_BYTES - TAP_KEPT_HEADERS;
	}
}

static __always_inline int is_injected(struct __sk_buff *frame)
{
	const __u32 *mark = (const void *)(long)frame->data_meta;

	return (const void *)(mark + 1) <= (const void *)(long)frame->data && *mark == TAP_INJECTED;
}

SEC("ingress")
int tap_ingress(struct __sk_buff *frame)
{
	struct tap_slot *slot;
	struct tuple tuple;
	__u32 number;
	int tcp = read_tuple(frame, &tuple);

	if (!tcp)
		return TCX_NEXT;
	slot = find(&tuple, &number);
	if (!slot)
		return TCX_NEXT;
	switch (slot->state) {
	case TAP_WATCHED:
		slot->seen |= TAP_SEEN_AT_INGRESS;
		return TCX_NEXT;
	case TAP_BORROWED:
		if (is_stale(frame, tcp, &tuple)) {
			slot->state = TAP_STALE;
			return TCX_NEXT;
		}
		return TCX_DROP;
	case TAP_HELD:
		if (is_injected(frame))
			return TCX_NEXT;
		keep(frame, &tuple, number, slot);
		return TCX_DROP;
	default:
		return TCX_NEXT;
	}
}

/* The twin's own filter, while its connection is borrowed. */
SEC("silence")
int tap_silence(struct __sk_buff *frame)
{
	(void)frame;
	return 0;
}

SEC("inject")
int tap_inject(struct xdp_md *frame)
{
	__u32 *mark;

	if (bpf_xdp_adjust_meta(frame, -(int)sizeof(*mark)) < 0)
		return XDP_PASS;
	mark = (void *)(long)frame->data_meta;
	if ((void *)(mark + 1) <= (void *)(long)frame->data)
		*mark = TAP_INJECTED;
	return XDP_PASS;
}
