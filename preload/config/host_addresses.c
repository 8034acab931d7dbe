/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asks the kernel's routing tables where an address leads: host_addresses.h. Not for choosing a
 * route.
 */
#include "preload/config/host_addresses.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdatomic.h>
#include <string.h>

#include "preload/libc/monotonic.h"
#include "common/system_call.h"

struct question {
	struct nlmsghdr header;
	struct rtmsg route;
	struct rtattr attribute;
	uint8_t address[sizeof(((struct ip_address *)0)->bytes)];
};

/* RTN_LOCAL and the like; RTN_UNSPEC if there is no answer or no route. */
static unsigned char type_of_route(const struct ip_address *address)
{
	unsigned bytes = address_bits(address) / 8;
	struct question question = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)) + RTA_LENGTH(bytes),
			    .nlmsg_type = RTM_GETROUTE,
			    .nlmsg_flags = NLM_F_REQUEST },
		.route = { .rtm_family = (unsigned char)address->family,
			   .rtm_dst_len = (unsigned char)address_bits(address) },
		.attribute = { .rta_type = RTA_DST, .rta_len = (unsigned short)RTA_LENGTH(bytes) },
	};
	union {
		struct nlmsghdr header;
		char bytes[1024]; /* of the answer only the beginning is of interest */
	} answer;
	long netlink, size = -1;
	const struct rtmsg *route = NLMSG_DATA(&answer.header);

	netlink = kernel_call(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE, 0);
	if (netlink < 0)
		return RTN_UNSPEC;
	memcpy(question.address, address->bytes, bytes);
	if (kernel_call(SYS_write, netlink, (long)&question, question.header.nlmsg_len, 0) > 0)
		size = kernel_call(SYS_read, netlink, (long)&answer, sizeof(answer), 0);
	kernel_call(SYS_close, netlink, 0, 0, 0);
	if (size < (long)NLMSG_LENGTH(sizeof(*route)) || answer.header.nlmsg_type != RTM_NEWROUTE)
		return RTN_UNSPEC;
	return route->rtm_type;
}

/*
 * A client that connects to one server again and again need not ask each time. The low half is the
 * time in units of 2^27 ns, the high half the address: all of an IPv4 one, 32 bits made of an IPv6
 * one. It is one word, so nothing has to be ordered with it.
 */
static _Atomic uint64_t last_foreign;

static uint64_t foreign_now(const struct ip_address *address)
{
	uint32_t words[4] = { 0 }, folded;

	memcpy(words, address->bytes, address_bits(address) / 8);
	folded = words[0] ^ words[1] * 3 ^ words[2] * 5 ^ words[3] * 7;
	return (uint64_t)folded << 32 | (uint32_t)(clock_monotonic() >> 27);
}

bool host_has(const struct ip_address *address)
{
	uint64_t foreign = foreign_now(address);

	if (atomic_load_explicit(&last_foreign, memory_order_relaxed) == foreign)
		return false;
	switch (type_of_route(address)) {
	case RTN_LOCAL:
	case RTN_BROADCAST:
	case RTN_ANYCAST:
		return true;
	default:
		atomic_store_explicit(&last_foreign, foreign, memory_order_relaxed);
		return false;
	}
}
