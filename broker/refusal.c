/* SPDX-License-Identifier: BSD-3-Clause */
/* Why a connection stays in the kernel, in words (lender.h). */
#include <stddef.h>

#include "broker/lender.h"

static const char *const texts[REFUSAL_COUNT] = {
	[REFUSAL_NONE] = "lent",
	[REFUSAL_UNSEEN] = "no frame of it has been seen at the interface",
	[REFUSAL_BUSY] = "data is under way",
	[REFUSAL_UNRESOLVED] = "the next hop's MAC address is not known, or the interface down",
	[REFUSAL_FULL] = "too many connections, or processes that borrow on the interface",
	[REFUSAL_STATE] = "not established",
	[REFUSAL_LOCAL] = "the peer is this host",
	[REFUSAL_ROUTE] = "no route that is a plain one",
	[REFUSAL_INTERFACE] = "not by an Ethernet interface, or its MTU is above 65521",
	[REFUSAL_ULP] = "TLS, MPTCP, ECN or another protocol in the kernel",
	[REFUSAL_FILTER] = "a socket filter of the program's",
	[REFUSAL_SIGNED] = "signed segments (TCP MD5, TCP-AO)",
	[REFUSAL_IPSEC] = "the host has IPsec policies",
	[REFUSAL_TRACKED] = "connection tracking cannot be told",
	[REFUSAL_NAMESPACE] = "a socket of another network namespace",
	[REFUSAL_RIGHTS] = "it takes CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF",
	[REFUSAL_KERNEL] = "it takes Linux 6.6 (tcx), and a build with clang",
	[REFUSAL_BROKER] = "the broker does not answer",
	[REFUSAL_FAILED] = "a system call failed",
	[REFUSAL_RESTING] = "nothing has been borrowed of late",
	[REFUSAL_BUFFER] = "a receive buffer that the program has made very small",
	[REFUSAL_NO_START] = "no stack could start, for the reason that was said then",
	[REFUSAL_DESCRIPTORS] = "no descriptor is left (ulimit -n)",
	[REFUSAL_VERSION] = "the broker is of another version of melin than this program's library",
};

const char *refusal_text(enum refusal refusal)
{
	return (unsigned)refusal < REFUSAL_COUNT && texts[refusal] ? texts[refusal] : "unknown";
}

bool refusal_is_passing(enum refusal refusal)
{
	return (refusal >= REFUSAL_UNSEEN && refusal <= REFUSAL_FULL) ||
	       refusal == REFUSAL_RESTING || refusal == REFUSAL_DESCRIPTORS;
}
