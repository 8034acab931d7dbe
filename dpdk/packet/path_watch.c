/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See path_watch.h. A message about a neighbour tells his MAC address now; what it was before is
 * kept in a table, since that is what connections know of their next hop.
 */
#include "dpdk/packet/path_watch.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/netlink_call.h"
#include "common/system_call.h"
#include "dpdk/link.h"

#define MAC_LENGTH 6

#define GROUPS                                                                                     \
	(NETLINK_GROUP(RTNLGRP_LINK) | NETLINK_GROUP(RTNLGRP_NEIGH) |                              \
	 NETLINK_GROUP(RTNLGRP_IPV4_IFADDR) | NETLINK_GROUP(RTNLGRP_IPV6_IFADDR) |                 \
	 NETLINK_GROUP(RTNLGRP_IPV4_ROUTE) | NETLINK_GROUP(RTNLGRP_IPV6_ROUTE) |                   \
	 NETLINK_GROUP(RTNLGRP_IPV4_RULE) | NETLINK_GROUP(RTNLGRP_IPV6_RULE) |                     \
	 NETLINK_GROUP(RTNLGRP_TC))

/* As many as the kernel keeps of a family (gc_thresh3); one more takes the oldest one's place. */
#define NEIGHBOURS_MAX 1024

/* A dump comes in pieces of up to so much; longer messages than that are not sent to groups. */
#define BUFFER_SIZE 32768

struct neighbour {
	unsigned interface;
	uint8_t family;
	uint8_t address[16];
	uint8_t mac[MAC_LENGTH];
};

struct path_watch {
	int socket;
	unsigned count, next; /* neighbours; which one is the oldest when the table is full */
	struct neighbour neighbours[NEIGHBOURS_MAX];
	_Alignas(struct nlmsghdr) uint8_t buffer[BUFFER_SIZE];
};

/* ---- messages ---- */

/* Copies an attribute of the message, if it is there in that size. */
static bool get(const struct nlmsghdr *message, size_t header, uint16_t type, void *to, size_t size)
{
	const void *attribute = netlink_attribute(message, header, type, size);

	if (attribute)
		memcpy(to, attribute, size);
	return attribute;
}

static size_t address_size(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

static bool has_room(const struct nlmsghdr *message, size_t header)
{
	return message->nlmsg_len >= NLMSG_LENGTH(header);
}

static bool read_link(const struct nlmsghdr *message, struct link_path_news *news)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	const unsigned works = IFF_UP | IFF_RUNNING;
	uint32_t mtu;

	/* A bridge tells of its ports in a family of its own. */
	if (!has_room(message, sizeof(*info)) || info->ifi_family != AF_UNSPEC)
		return false;
	news->what = LINK_PATH_INTERFACE;
	news->interface = (unsigned)info->ifi_index;
	news->is_up = message->nlmsg_type == RTM_NEWLINK && (info->ifi_flags & works) == works;
	news->mtu = get(message, sizeof(*info), IFLA_MTU, &mtu, sizeof(mtu)) ? mtu : UINT32_MAX;
	return !news->is_up || get(message, sizeof(*info), IFLA_ADDRESS, news->mac, MAC_LENGTH);
}

static bool read_address(const struct nlmsghdr *message, struct link_path_news *news)
{
	const struct ifaddrmsg *info = NLMSG_DATA(message);

	if (!has_room(message, sizeof(*info)))
		return false;
	news->what = LINK_PATH_LOCAL;
	news->is_up = message->nlmsg_type == RTM_NEWADDR;
	news->family = info->ifa_family;
	/* IPv4's IFA_ADDRESS is the other end's where there are two. */
	return get(message, sizeof(*info), IFA_LOCAL, news->address, address_size(news->family)) ||
	       get(message, sizeof(*info), IFA_ADDRESS, news->address, address_size(news->family));
}

static bool read_route(const struct nlmsghdr *message, struct link_path_news *news)
{
	const struct rtmsg *info = NLMSG_DATA(message);

	/* What the kernel has derived from a route is no change of it. */
	if (!has_room(message, sizeof(*info)) || (info->rtm_flags & RTM_F_CLONED))
		return false;
	news->what = LINK_PATH_REMOTE;
	news->family = info->rtm_family;
	news->prefix = info->rtm_dst_len;
	return address_size(news->family) &&
	       (!news->prefix ||
		get(message, sizeof(*info), RTA_DST, news->address, address_size(news->family)));
}

/* ---- neighbours ---- */

static struct neighbour *find(struct path_watch *watch, const struct neighbour *like)
{
	for (unsigned i = 0; i < watch->count; i++) {
		struct neighbour *each = &watch->neighbours[i];

		if (each->interface == like->interface && each->family == like->family &&
		    !memcmp(each->address, like->address, sizeof(each->address)))
			return each;
	}
	return NULL;
}

static void add(struct path_watch *watch, const struct neighbour *neighbour)
{
	if (watch->count < NEIGHBOURS_MAX)
		watch->neighbours[watch->count++] = *neighbour;
	else
		watch->neighbours[watch->next++ % NEIGHBOURS_MAX] = *neighbour;
}

/*
 * A neighbour that the kernel forgets stays in the table: connections still use his address, and
 * what comes in its place is compared with it.
 */
static bool read_neighbour(struct path_watch *watch, const struct nlmsghdr *message,
			   struct link_path_news *news)
{
	const unsigned known =
		NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;
	const struct ndmsg *info = NLMSG_DATA(message);
	struct neighbour now = { 0 }, *before;

	if (message->nlmsg_type != RTM_NEWNEIGH || !has_room(message, sizeof(*info)) ||
	    !(info->ndm_state & known) || !address_size(info->ndm_family))
		return false;
	now.interface = (unsigned)info->ndm_ifindex;
	now.family = info->ndm_family;
	if (!get(message, sizeof(*info), NDA_DST, now.address, address_size(now.family)) ||
	    !get(message, sizeof(*info), NDA_LLADDR, now.mac, MAC_LENGTH))
		return false;
	before = find(watch, &now);
	if (!before)
		add(watch, &now);
	if (!before || !memcmp(before->mac, now.mac, MAC_LENGTH))
		return false;
	news->what = LINK_PATH_NEIGHBOUR;
	news->interface = now.interface;
	memcpy(news->mac, before->mac, MAC_LENGTH);
	memcpy(before->mac, now.mac, MAC_LENGTH);
	return true;
}

/* ---- all of them ---- */

static bool read_message(struct path_watch *watch, const struct nlmsghdr *message,
			 struct link_path_news *news)
{
	*news = (struct link_path_news){ 0 };
	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return read_link(message, news);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return read_address(message, news);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return read_route(message, news);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return read_neighbour(watch, message, news);
	/* Filters of tc(8) come behind the drop: they do not see what is borrowed. */
	case RTM_NEWTFILTER:
	case RTM_DELTFILTER:
	case RTM_NEWRULE:
	case RTM_DELRULE:
		news->what = LINK_PATH_ANY;
		return true;
	default:
		return false;
	}
}

static void read_messages(struct path_watch *watch, size_t size, const struct link_config *config)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)watch->buffer;
	struct link_path_news news;

	for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) {
		if (read_message(watch, message, &news) && config->path_changed)
			config->path_changed(config->context, &news);
	}
}

void path_watch_attend(struct path_watch *watch, const struct link_config *config)
{
	const struct link_path_news any = { .what = LINK_PATH_ANY };

	while (watch->socket >= 0) {
		long size = kernel_call5(SYS_recvfrom, watch->socket, (long)watch->buffer,
					 sizeof(watch->buffer), MSG_DONTWAIT, 0);

		if (size > 0)
			read_messages(watch, (size_t)size, config);
		else if (size == -ENOBUFS && config->path_changed)
			config->path_changed(config->context, &any); /* some are lost */
		else if (size != -EINTR)
			return;
	}
}

bool path_watch_rules(int rules, const struct link_config *config)
{
	const struct link_path_news any = { .what = LINK_PATH_ANY };
	bool changed = false;
	const int end = netlink_hear(rules, &changed);

	if (changed && config->path_changed)
		config->path_changed(config->context, &any);
	return end != 0;
}

static socklen_t name_size(const struct sockaddr *name)
{
	return name->sa_family == AF_INET ? sizeof(struct sockaddr_in)
					  : sizeof(struct sockaddr_in6);
}

/* The kernel tells a datagram socket as much as it would one of TCP's, and sends nothing. */
bool path_exists(const struct sockaddr *local, const struct sockaddr *remote)
{
	struct sockaddr_storage from = { 0 };
	long probe = kernel_call(SYS_socket, local->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0);
	bool exists;

	if (probe < 0)
		return true; /* not known */
	memcpy(&from, local, name_size(local));
	((struct sockaddr_in *)&from)->sin_port = 0; /* any; IPv6's is in the same place */
	exists = kernel_call(SYS_bind, probe, (long)&from, name_size(local), 0) == 0 &&
		 kernel_call(SYS_connect, probe, (long)remote, name_size(remote), 0) == 0;
	kernel_call(SYS_close, probe, 0, 0, 0);
	return exists;
}

/* Asks for the neighbours that are known already: the answer comes as news does. */
static void ask_for_neighbours(int socket)
{
	struct {
		struct nlmsghdr header;
		struct ndmsg body;
	} request = { .header = { .nlmsg_len = sizeof(request),
				  .nlmsg_type = RTM_GETNEIGH,
				  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };

	kernel_call5(SYS_sendto, socket, (long)&request, sizeof(request), MSG_DONTWAIT, 0);
}

struct path_watch *path_watch_open(int *descriptor)
{
	struct path_watch *watch = calloc(1, sizeof(*watch));

	*descriptor = -1;
	if (!watch)
		return NULL;
	watch->socket = netlink_subscribe(NETLINK_ROUTE, GROUPS);
	if (watch->socket >= 0)
		ask_for_neighbours(watch->socket);
	*descriptor = watch->socket < 0 ? -1 : watch->socket;
	return watch;
}

void path_watch_close(struct path_watch *watch)
{
	free(watch);
}
