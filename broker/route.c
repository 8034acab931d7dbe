/* SPDX-License-Identifier: BSD-3-Clause */
/* See route.h. */
#include "broker/route.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>

#include "common/own_descriptor.h"
#include "common/system_call.h"

#define STATE_ESTABLISHED 1 /* TCP_ESTABLISHED of include/net/tcp_states.h */
#define MAC_LENGTH	  ROUTES_MAC
#define ROUTE_SERVICE	  0x1c /* RT_TOS() of include/net/route.h: what IPv4 routes may ask for */

/* States of a neighbour in which its address is used: NUD_VALID of include/net/neighbour.h. */
#define NEIGHBOUR_VALID                                                                            \
	(NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

/*
 * A stack counts a frame's length in 16 bits. The peer, who was told of the interface's MTU at the
 * handshake, may send longer ones than that.
 */
#define INTERFACE_MTU_MAX (UINT16_MAX - ETH_HLEN)

/* What is asked about, and the answers so far. */
struct question {
	struct routes *routes;
	struct netlink *netlink; /* of routes */
	int descriptor;
	struct loan_tuple tuple;
	struct connection_path path;
	uint32_t scope;	 /* the interface of a link-local address */
	uint8_t hop[16]; /* the next hop's IP address */
	uint8_t hop_family;
};

/* ---- the socket's own ---- */

static size_t address_length(uint32_t family)
{
	return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

/* Frames bear IPv4 addresses where the socket says IPv4-mapped ones. */
static void take_name(const struct sockaddr_storage *name, uint32_t *family, uint8_t *address,
		      uint16_t *port, uint32_t *scope)
{
	const struct sockaddr_in *in = (const void *)name;
	const struct sockaddr_in6 *in6 = (const void *)name;

	if (name->ss_family == AF_INET) {
		*family = AF_INET;
		*port = in->sin_port;
		memcpy(address, &in->sin_addr, sizeof(in->sin_addr));
		return;
	}
	*port = in6->sin6_port;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		*family = AF_INET;
		memcpy(address, &in6->sin6_addr.s6_addr[12], sizeof(struct in_addr));
		return;
	}
	*family = AF_INET6;
	*scope = in6->sin6_scope_id;
	memcpy(address, &in6->sin6_addr, sizeof(in6->sin6_addr));
}

uint32_t route_tuple(const struct sockaddr_storage *local, const struct sockaddr_storage *remote,
		     struct loan_tuple *tuple)
{
	uint32_t scope = 0;

	take_name(local, &tuple->family, tuple->local, &tuple->local_port, &scope);
	take_name(remote, &tuple->family, tuple->remote, &tuple->remote_port, &scope);
	return scope;
}

/*
 * ETH_MIN_MTU, which the kernel's blackhole_netdev has: the interface has been down since the
 * socket sent last, and the kernel looks for a new route when it sends again.
 */
#define MTU_OF_NOWHERE 68

static enum refusal read_socket(struct question *question)
{
	struct sockaddr_storage local = { 0 }, remote = { 0 };
	socklen_t local_size = sizeof(local), remote_size = sizeof(remote);
	struct loan_tuple *tuple = &question->tuple;
	struct tcp_info info = { 0 };

	if (kernel_get_option(question->descriptor, IPPROTO_TCP, TCP_INFO, &info, sizeof(info)) <
		    0 ||
	    info.tcpi_state != STATE_ESTABLISHED ||
	    kernel_call(SYS_getsockname, question->descriptor, (long)&local, (long)&local_size, 0) <
		    0 ||
	    kernel_call(SYS_getpeername, question->descriptor, (long)&remote, (long)&remote_size,
			0) < 0 ||
	    (local.ss_family != AF_INET && local.ss_family != AF_INET6))
		return REFUSAL_STATE;
	question->scope = route_tuple(&local, &remote, tuple);
	/* 0 stands for an MTU that is not known yet, or that has more than 16 bits. */
	question->path.mtu = info.tcpi_pmtu <= UINT16_MAX ? (uint16_t)info.tcpi_pmtu : 0;
	return question->path.mtu == MTU_OF_NOWHERE ? REFUSAL_UNRESOLVED : REFUSAL_NONE;
}

/* ---- the route ---- */

/*
 * Adds what rules (ip-rule(8)) and routes choose by, as the kernel does for the socket's own
 * packets.
 */
static void add_selectors(struct question *question)
{
	const struct loan_tuple *tuple = &question->tuple;
	const uint8_t protocol = IPPROTO_TCP;
	const int mark = kernel_get_int(question->descriptor, SOL_SOCKET, SO_MARK);
	uint32_t bound =
		(uint32_t)kernel_get_int(question->descriptor, SOL_SOCKET, SO_BINDTOIFINDEX);
	struct stat owner = { 0 };

	if (!bound)
		bound = question->scope;
	if (mark)
		netlink_add(question->netlink, RTA_MARK, &mark, sizeof(mark));
	if (bound)
		netlink_add(question->netlink, RTA_OIF, &bound, sizeof(bound));
	if (kernel_call(SYS_fstat, question->descriptor, (long)&owner, 0, 0) == 0)
		netlink_add(question->netlink, RTA_UID, &owner.st_uid, sizeof(owner.st_uid));
	netlink_add(question->netlink, RTA_IP_PROTO, &protocol, sizeof(protocol));
	netlink_add(question->netlink, RTA_SPORT, &tuple->local_port, sizeof(tuple->local_port));
	netlink_add(question->netlink, RTA_DPORT, &tuple->remote_port, sizeof(tuple->remote_port));
}

static uint8_t service_of(int descriptor, uint32_t family)
{
	const int service = family == AF_INET ? kernel_get_int(descriptor, IPPROTO_IP, IP_TOS) : 0;

	return (uint8_t)(service & ROUTE_SERVICE);
}

/* An IPv4 route may have an IPv6 gateway (RTA_VIA); without a gateway the peer itself is next. */
static void take_hop(struct question *question)
{
	const size_t length = address_length(question->tuple.family);
	const uint8_t *gateway =
		netlink_find(question->netlink, sizeof(struct rtmsg), RTA_GATEWAY, length);
	const struct rtvia *via = netlink_find(question->netlink, sizeof(struct rtmsg), RTA_VIA,
					       sizeof(*via) + sizeof(struct in6_addr));

	question->hop_family = (uint8_t)question->tuple.family;
	if (via) {
		question->hop_family = (uint8_t)via->rtvia_family;
		memcpy(question->hop, via->rtvia_addr, sizeof(struct in6_addr));
	} else {
		memcpy(question->hop, gateway ? gateway : question->tuple.remote, length);
	}
}

/* Looks for an MTU in RTA_METRICS, which is a nest of numbers. */
static void limit_by_metrics(struct question *question)
{
	const char *metrics =
		netlink_find(question->netlink, sizeof(struct rtmsg), RTA_METRICS, NLA_HDRLEN);
	const struct nlattr *nest, *one;
	uint32_t mtu;

	if (!metrics)
		return;
	nest = (const void *)(metrics - NLA_HDRLEN);
	for (one = (const void *)metrics;
	     (const char *)one + NLA_HDRLEN + sizeof(mtu) <= (const char *)nest + nest->nla_len;
	     one = (const void *)((const char *)one + NLA_ALIGN(one->nla_len))) {
		if (one->nla_len < NLA_HDRLEN)
			return;
		if (one->nla_type != RTAX_MTU)
			continue;
		memcpy(&mtu, (const char *)one + NLA_HDRLEN, sizeof(mtu));
		if (mtu && (!question->path.mtu || mtu < question->path.mtu))
			question->path.mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
	}
}

static enum refusal find_route(struct question *question)
{
	const struct loan_tuple *tuple = &question->tuple;
	const size_t length = address_length(tuple->family);
	const struct rtmsg header = { .rtm_family = (unsigned char)tuple->family,
				      .rtm_dst_len = (unsigned char)(length * 8),
				      .rtm_src_len = (unsigned char)(length * 8),
				      .rtm_tos = service_of(question->descriptor, tuple->family) };
	const struct rtmsg *route = netlink_header(question->netlink);
	const uint32_t *interface;

	netlink_begin(question->netlink, RTM_GETROUTE, 0, &header, sizeof(header));
	netlink_add(question->netlink, RTA_DST, tuple->remote, length);
	netlink_add(question->netlink, RTA_SRC, tuple->local, length);
	add_selectors(question);
	if (netlink_ask(question->netlink) < 0)
		return REFUSAL_ROUTE;
	if (route->rtm_type == RTN_LOCAL)
		return REFUSAL_LOCAL;
	interface = netlink_find(question->netlink, sizeof(*route), RTA_OIF, sizeof(*interface));
	if (route->rtm_type != RTN_UNICAST || !interface ||
	    netlink_find(question->netlink, sizeof(*route), RTA_ENCAP_TYPE, 0))
		return REFUSAL_ROUTE;
	question->path.interface = question->tuple.interface = *interface;
	take_hop(question);
	limit_by_metrics(question);
	return REFUSAL_NONE;
}

/* ---- the interface and the neighbour ---- */

static enum refusal ask_interface(struct netlink *netlink, struct routes_interface *answer)
{
	const struct ifinfomsg header = { .ifi_index = (int)answer->interface };
	const uint32_t without_statistics = RTEXT_FILTER_SKIP_STATS;
	const struct ifinfomsg *link = netlink_header(netlink);
	const uint8_t *address;
	const uint32_t *mtu;

	netlink_begin(netlink, RTM_GETLINK, 0, &header, sizeof(header));
	netlink_add(netlink, IFLA_EXT_MASK, &without_statistics, sizeof(without_statistics));
	if (netlink_ask(netlink) < 0)
		return REFUSAL_INTERFACE;
	if (link->ifi_flags & IFF_LOOPBACK)
		return REFUSAL_LOCAL;
	address = netlink_find(netlink, sizeof(*link), IFLA_ADDRESS, MAC_LENGTH);
	mtu = netlink_find(netlink, sizeof(*link), IFLA_MTU, sizeof(*mtu));
	if (link->ifi_type != ARPHRD_ETHER || link->ifi_flags & IFF_NOARP || !address || !mtu)
		return REFUSAL_INTERFACE;
	/* It may be up again, or have its carrier, when the connection goes on. */
	if (!(link->ifi_flags & IFF_UP) || !(link->ifi_flags & IFF_RUNNING))
		return REFUSAL_UNRESOLVED;
	memcpy(answer->mac, address, MAC_LENGTH);
	answer->mtu = *mtu;
	return REFUSAL_NONE;
}

static enum refusal find_interface(struct question *question)
{
	struct routes_interface *known = &question->routes->interface;
	struct connection_path *path = &question->path;
	struct routes_interface answer = { .interface = path->interface };
	enum refusal refusal;

	if (known->interface != path->interface) {
		refusal = ask_interface(question->netlink, &answer);
		if (refusal)
			return refusal;
		*known = answer;
	}
	if (known->mtu > INTERFACE_MTU_MAX)
		return REFUSAL_INTERFACE;
	memcpy(path->source, known->mac, MAC_LENGTH);
	if (!path->mtu || known->mtu < path->mtu)
		path->mtu = (uint16_t)known->mtu;
	return REFUSAL_NONE;
}

static enum refusal ask_neighbour(struct netlink *netlink, struct routes_neighbour *answer)
{
	const struct ndmsg header = { .ndm_family = answer->family,
				      .ndm_ifindex = (int)answer->interface };
	const struct ndmsg *neighbour = netlink_header(netlink);
	const uint8_t *address;

	netlink_begin(netlink, RTM_GETNEIGH, 0, &header, sizeof(header));
	netlink_add(netlink, NDA_DST, answer->hop, address_length(answer->family));
	if (netlink_ask(netlink) < 0 || !(neighbour->ndm_state & NEIGHBOUR_VALID))
		return REFUSAL_UNRESOLVED;
	address = netlink_find(netlink, sizeof(*neighbour), NDA_LLADDR, MAC_LENGTH);
	if (!address)
		return REFUSAL_UNRESOLVED;
	memcpy(answer->mac, address, MAC_LENGTH);
	return REFUSAL_NONE;
}

/* Whether the next hop is known, whose MAC address is stored then. */
static bool is_known(const struct routes *routes, struct routes_neighbour *hop)
{
	for (unsigned i = 0; i < ROUTES_NEIGHBOURS; i++) {
		const struct routes_neighbour *each = &routes->neighbours[i];

		if (each->interface != hop->interface || each->family != hop->family ||
		    memcmp(each->hop, hop->hop, sizeof(each->hop)) != 0)
			continue;
		*hop = *each;
		return true;
	}
	return false;
}

static enum refusal find_neighbour(struct question *question)
{
	struct routes *routes = question->routes;
	struct routes_neighbour hop = { .interface = question->path.interface,
					.family = question->hop_family };
	enum refusal refusal;

	memcpy(hop.hop, question->hop, sizeof(hop.hop));
	if (!is_known(routes, &hop)) {
		refusal = ask_neighbour(question->netlink, &hop);
		if (refusal)
			return refusal;
		routes->neighbours[routes->next++ % ROUTES_NEIGHBOURS] = hop;
	}
	memcpy(question->path.destination, hop.mac, MAC_LENGTH);
	return REFUSAL_NONE;
}

/* ---- what is known of them ---- */

int routes_open(struct routes *routes)
{
	const uint32_t groups = NETLINK_GROUP(RTNLGRP_LINK) | NETLINK_GROUP(RTNLGRP_NEIGH);
	int error = netlink_open(&routes->netlink, NETLINK_ROUTE);

	routes->news = error ? -1 : netlink_subscribe(NETLINK_ROUTE, groups);
	return error;
}

void routes_close(struct routes *routes)
{
	netlink_close(&routes->netlink);
	own_descriptor_close(routes->news);
	routes->news = -1;
}

/*
 * Forgets all answers if there are news, whatever they are, or if news would not be heard. That is
 * before a question is asked: what changes afterwards is news to the next one.
 */
static void forget_old(struct routes *routes)
{
	bool changed = false;

	if (netlink_hear(routes->news, &changed) == -EAGAIN && !changed)
		return;
	routes->interface.interface = 0;
	memset(routes->neighbours, 0, sizeof(routes->neighbours));
}

enum refusal route_find(struct routes *routes, int descriptor, struct connection_path *path,
			struct loan_tuple *tuple)
{
	struct question question = { .routes = routes,
				     .netlink = &routes->netlink,
				     .descriptor = descriptor };
	enum refusal refusal = read_socket(&question);

	forget_old(routes);
	refusal = refusal ?: find_route(&question);
	refusal = refusal ?: find_interface(&question);
	refusal = refusal ?: find_neighbour(&question);
	if (refusal == REFUSAL_NONE) {
		*path = question.path;
		*tuple = question.tuple;
	}
	return refusal;
}
