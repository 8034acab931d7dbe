// SPDX-License-Identifier: BSD-3-Clause
/*
 * The XDP program that decides, on a Linux interface, which frames go to melin's stack: those for
 * the stack's own addresses, and the ARP and neighbour solicitations that ask for them. Every
 * other frame passes to the kernel, which keeps serving its own addresses. DPDK's af_xdp driver
 * loads it (xdp_prog=) and puts its sockets into xsks_map; dpdk/xdp/xdp.c fills the other maps.
 *
 * Not for checking frames: what is malformed is passed or redirected by its addresses alone, and
 * judged by whoever gets it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "melin_xdp.h"

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MELIN_XDP_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct melin_xdp_settings);
} melin_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MELIN_XDP_ADDRESSES_MAX);
	__type(key, struct melin_xdp_address4);
	__type(value, __u8);
} melin_address4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MELIN_XDP_ADDRESSES_MAX);
	__type(key, struct melin_xdp_address6);
	__type(value, __u8);
} melin_address6 SEC(".maps");

#define VLAN_TAG_LENGTH 4
#define VLAN_ID_MASK	0x0fff

#define ARP_LENGTH	  28
#define ARP_TARGET_OFFSET 24 /* target protocol address, for Ethernet and IPv4 */

#define IPV4_HEADER_LENGTH	20
#define IPV4_DESTINATION_OFFSET 16

#define IPV6_HEADER_LENGTH	40
#define IPV6_NEXT_HEADER_OFFSET 6
#define IPV6_DESTINATION_OFFSET 24
#define IPV6_NEXT_ICMP		58

#define ND_SOLICIT_TYPE	  135
#define ND_TARGET_OFFSET  8 /* in the ICMPv6 message */
#define ND_SOLICIT_LENGTH 24

static __always_inline int is_ours4(const void *address)
{
	struct melin_xdp_address4 key;

	__builtin_memcpy(&key, address, sizeof(key));
	return bpf_map_lookup_elem(&melin_address4, &key) != 0;
}

static __always_inline int is_ours6(const void *address)
{
	struct melin_xdp_address6 key;

	__builtin_memcpy(&key, address, sizeof(key));
	return bpf_map_lookup_elem(&melin_address6, &key) != 0;
}

static __always_inline int is_ours_ipv6(const char *header, const char *end)
{
	const char *message = header + IPV6_HEADER_LENGTH;

	if (message > end)
		return 0;
	if (is_ours6(header + IPV6_DESTINATION_OFFSET))
		return 1;
	/* A solicitation is sent to the solicited-node group, which other hosts may share. */
	if (header[IPV6_NEXT_HEADER_OFFSET] != IPV6_NEXT_ICMP)
		return 0;
	if ((unsigned char)header[IPV6_DESTINATION_OFFSET] != 0xff)
		return 0;
	if (message + ND_SOLICIT_LENGTH > end || (unsigned char)message[0] != ND_SOLICIT_TYPE)
		return 0;
	return is_ours6(message + ND_TARGET_OFFSET);
}

SEC("xdp")
int melin_xdp(struct xdp_md *context)
{
	const char *frame = (const char *)(long)context->data;
	const char *end = (const char *)(long)context->data_end;
	const struct melin_xdp_settings *settings;
	const char *payload = frame + ETH_HLEN;
	__u32 zero = 0;
	__u16 type;
	int ours;

	settings = bpf_map_lookup_elem(&melin_settings, &zero);
	if (!settings || payload > end)
		return XDP_PASS;
	type = *(const __u16 *)(frame + ETH_HLEN - 2);

	/* A tag of VLAN 0 says a priority and no VLAN: it may be there without one. */
	if (settings->vlan || type == bpf_htons(ETH_P_8021Q)) {
		if (type != bpf_htons(ETH_P_8021Q) || payload + VLAN_TAG_LENGTH > end)
			return XDP_PASS;
		if ((bpf_ntohs(*(const __u16 *)payload) & VLAN_ID_MASK) != settings->vlan)
			return XDP_PASS;
		type = *(const __u16 *)(payload + 2);
		payload += VLAN_TAG_LENGTH;
	}

	if (type == bpf_htons(ETH_P_IP))
		ours = payload + IPV4_HEADER_LENGTH <= end &&
		       is_ours4(payload + IPV4_DESTINATION_OFFSET);
	else if (type == bpf_htons(ETH_P_IPV6))
		ours = is_ours_ipv6(payload, end);
	else if (type == bpf_htons(ETH_P_ARP))
		ours = payload + ARP_LENGTH <= end && is_ours4(payload + ARP_TARGET_OFFSET);
	else
		ours = 0;

	/* A queue without a socket (melin has died, or has fewer queues) is the kernel's. */
	return ours ? bpf_redirect_map(&xsks_map, context->rx_queue_index, XDP_PASS) : XDP_PASS;
}

char melin_license[] SEC("license") = "Dual BSD/GPL";
