/* SPDX-License-Identifier: BSD-3-Clause */
/* See tracking.h. */
#include "broker/tracking.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include "common/own_descriptor.h"
#include "common/system_call.h"

/* The file is there while the module is loaded. A question by netlink would load the module. */
#define COUNT_FILE "/proc/sys/net/netfilter/nf_conntrack_count"

static void open_count(struct tracking *tracking)
{
	tracking->count = own_descriptor(
		(int)kernel_call(SYS_openat, AT_FDCWD, (long)COUNT_FILE, O_RDONLY | O_CLOEXEC, 0));
}

void tracking_open(struct tracking *tracking)
{
	tracking->netlink.socket = -1;
	open_count(tracking);
}

void tracking_close(struct tracking *tracking)
{
	netlink_close(&tracking->netlink);
	own_descriptor_close(tracking->count);
	tracking->count = -1;
}

/* "0" is what an idle module says. One that cannot be looked at may track. */
static bool tracks_any(struct tracking *tracking)
{
	char digit = '0';

	if (tracking->count < 0)
		open_count(tracking);
	if (tracking->count < 0)
		return kernel_lacks_descriptors(tracking->count);
	kernel_call(SYS_pread64, tracking->count, (long)&digit, 1, 0);
	return digit != '0';
}

static void add_tuple(struct netlink *netlink, const struct loan_tuple *tuple)
{
	const bool is_ipv4 = tuple->family == AF_INET;
	const size_t length = is_ipv4 ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	const uint8_t protocol = IPPROTO_TCP;
	struct nlattr *whole = netlink_enter(netlink, CTA_TUPLE_ORIG);
	struct nlattr *part = netlink_enter(netlink, CTA_TUPLE_IP);

	netlink_add(netlink, is_ipv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple->remote, length);
	netlink_add(netlink, is_ipv4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple->local, length);
	netlink_leave(netlink, part);
	part = netlink_enter(netlink, CTA_TUPLE_PROTO);
	netlink_add(netlink, CTA_PROTO_NUM, &protocol, sizeof(protocol));
	netlink_add(netlink, CTA_PROTO_SRC_PORT, &tuple->remote_port, sizeof(uint16_t));
	netlink_add(netlink, CTA_PROTO_DST_PORT, &tuple->local_port, sizeof(uint16_t));
	netlink_leave(netlink, part);
	netlink_leave(netlink, whole);
}

static void add_flags(struct netlink *netlink)
{
	const struct nf_ct_tcp_flags liberal = { .flags = IP_CT_TCP_FLAG_BE_LIBERAL,
						 .mask = IP_CT_TCP_FLAG_BE_LIBERAL };
	struct nlattr *whole = netlink_enter(netlink, CTA_PROTOINFO);
	struct nlattr *part = netlink_enter(netlink, CTA_PROTOINFO_TCP);

	netlink_add(netlink, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, &liberal, sizeof(liberal));
	netlink_add(netlink, CTA_PROTOINFO_TCP_FLAGS_REPLY, &liberal, sizeof(liberal));
	netlink_leave(netlink, part);
	netlink_leave(netlink, whole);
}

/*
 * The kernel's own time-out for a connection that is established and silent, in seconds, where
 * nobody has chosen another one. The next segment that passes the tracking sets the host's again.
 */
#define KEPT_SECONDS (5u * 24 * 60 * 60)

static void add_time(struct netlink *netlink)
{
	const uint32_t seconds = htonl(KEPT_SECONDS);

	netlink_add(netlink, CTA_TIMEOUT, &seconds, sizeof(seconds));
}

/*
 * Changes what add() says of the connection, if there is tracking. The kernel finds it by the tuple
 * of either direction. 0, also if it is not tracked, or -errno.
 */
static int change(struct tracking *tracking, const struct loan_tuple *tuple,
		  void (*add)(struct netlink *))
{
	const struct nfgenmsg header = { .nfgen_family = (uint8_t)tuple->family,
					 .version = NFNETLINK_V0 };
	struct netlink *netlink = &tracking->netlink;
	int error;

	if (!tracks_any(tracking))
		return 0;
	if (tracking->count < 0)
		return tracking->count;
	if (netlink->socket < 0 && netlink_open(netlink, NETLINK_NETFILTER) < 0)
		return netlink->socket;
	netlink_begin(netlink, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, NLM_F_ACK, &header,
		      sizeof(header));
	add_tuple(netlink, tuple);
	add(netlink);
	error = netlink_ask(netlink);
	return error == -ENOENT ? 0 : error;
}

enum refusal tracking_tell(struct tracking *tracking, const struct loan_tuple *tuple)
{
	const int error = change(tracking, tuple, add_flags);

	if (kernel_lacks_descriptors(error))
		return REFUSAL_DESCRIPTORS;
	return error ? REFUSAL_TRACKED : REFUSAL_NONE;
}

void tracking_keep(struct tracking *tracking, const struct loan_tuple *tuple)
{
	change(tracking, tuple, add_time);
}
