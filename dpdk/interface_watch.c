/* SPDX-License-Identifier: BSD-3-Clause */
/* See interface_watch.h. */
#include "dpdk/interface_watch.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/netlink_call.h"
#include "dpdk/device_link.h"
#include "dpdk/eal/journal.h"
#include "dpdk/eal/overrides.h"
#include "dpdk/eal/wait_descriptor.h"
#include "dpdk/packet/packet.h"

/* What there is by the interface's name; error: -errno, and nothing is there. */
struct look {
	int error, ifindex;
	bool is_up;
	unsigned char mac[6];
};

int interface_watch_open(void)
{
	const int watch = netlink_subscribe(NETLINK_ROUTE, RTMGRP_LINK);

	return watch < 0 ? -1 : watch;
}

static void look_at(int watch, const char *name, struct look *look)
{
	struct ifreq ifr = { 0 };

	memset(look, 0, sizeof(*look));
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	look->error = interface_ask(watch, SIOCGIFINDEX, &ifr);
	look->ifindex = ifr.ifr_ifindex;
	if (!look->error)
		look->error = interface_ask(watch, SIOCGIFHWADDR, &ifr);
	memcpy(look->mac, ifr.ifr_hwaddr.sa_data, sizeof(look->mac));
	if (!look->error)
		look->error = interface_ask(watch, SIOCGIFFLAGS, &ifr);
	look->is_up = !look->error && (ifr.ifr_flags & IFF_UP);
}

/* The interface has been renamed: it has the same index. */
static bool is_renamed(struct device_link *link)
{
	struct ifreq ifr = { .ifr_ifindex = link->interface.ifindex };

	if (interface_ask(link->watch, SIOCGIFNAME, &ifr) < 0)
		return false;
	journal_add(LOG_LEVEL_WARN, "interface %s is called %s now and is used on",
		    link->interface.name, ifr.ifr_name);
	memcpy(link->interface.name, ifr.ifr_name, sizeof(link->interface.name));
	return true;
}

/* The interface is the same. True: it has another MAC address, or is up after it was down. */
static bool has_changed(struct device_link *link, const struct look *look)
{
	const bool is_new = memcmp(link->info.mac, look->mac, sizeof(look->mac)) != 0;
	const bool came_up = look->is_up && link->is_down;

	if (look->is_up == link->is_down)
		journal_add(LOG_LEVEL_WARN,
			    look->is_up ? "interface %s is up again"
					: "interface %s is down: connections wait until it is up",
			    link->interface.name);
	link->is_down = !look->is_up;
	if (is_new)
		journal_add(LOG_LEVEL_INFO, "interface %s has another MAC address",
			    link->interface.name);
	memcpy(link->info.mac, look->mac, sizeof(look->mac));
	memcpy(link->interface.mac, look->mac, sizeof(look->mac));
	return is_new || came_up;
}

/* Else an interface that comes back from another network namespace would still have the program. */
static void release_xdp(void *unused)
{
	(void)unused;
	overrides_release_xdp();
}

static void lose(struct device_link *link)
{
	journal_add(LOG_LEVEL_WARN,
		    "interface %s is gone: connections wait until there is one of that name "
		    "again",
		    link->interface.name);
	link->gone = true;
	link->is_down = false;
	wait_forget(link);
	control_run(link->control, release_xdp, NULL);
	if (link->backend->close_sockets)
		link->backend->close_sockets(link);
	interface_release(&link->interface);
}

static int take(struct device_link *link, const char *name, struct reason *reason)
{
	int error = packet_claim(link, name, reason);

	if (error)
		return error;
	error = interface_probe_end(&link->interface, &link->stack, reason);
	if (!error)
		error = packet_take_over(link, reason);
	if (error)
		interface_release(&link->interface);
	return error;
}

static bool regain(struct device_link *link)
{
	struct reason reason = { "" };
	char name[IF_NAMESIZE];
	int error;

	memcpy(name, link->interface.name, sizeof(name));
	error = take(link, name, &reason);
	if (!error)
		error = wait_again(link);
	if (error) {
		memcpy(link->interface.name, name, sizeof(name));
		journal_add(LOG_LEVEL_WARN, "interface %s is there again, but cannot be used: %s",
			    name, reason.text[0] ? reason.text : strerrordesc_np(-error));
		return false;
	}
	link->gone = false;
	journal_add(LOG_LEVEL_WARN, "interface %s is there again, and used by packet sockets",
		    name);
	return true;
}

enum link_news interface_watch_attend(struct device_link *link)
{
	struct look look;
	bool has_news = false, regained;

	/* What the messages say is not read: look_at() asks what has become of the interface. */
	if (link->watch >= 0)
		netlink_hear(link->watch, &has_news);
	if (!has_news)
		return LINK_SAME;
	look_at(link->watch, link->interface.name, &look);
	if (!link->gone) {
		if (!look.error && look.ifindex == link->interface.ifindex)
			return has_changed(link, &look) ? LINK_CHANGED : LINK_SAME;
		if (is_renamed(link))
			return LINK_SAME;
		lose(link);
	}
	if (look.error || !look.is_up)
		return LINK_SAME;
	if (link->config.descriptors_begin)
		link->config.descriptors_begin();
	regained = regain(link);
	if (link->config.descriptors_end)
		link->config.descriptors_end();
	return regained ? LINK_ANEW : LINK_SAME;
}
