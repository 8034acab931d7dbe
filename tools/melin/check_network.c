/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What check.h promises of the network: the interface, who else is at it, what stands in front of
 * it. Everything is asked, nothing is attached.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/ipsec.h"
#include "broker/lender.h"
#include "common/netlink_call.h"
#include "broker/tracking.h"
#include "common/system_call.h"
#include "dpdk/interface/interface_claim.h"
#include "dpdk/xdp/melin_xdp.h"
#include "tools/melin/check.h"

/* Programs at one hook of an interface: BPF_MPROG_MAX of Linux. */
#define INGRESS_MOST 64
/* The attach type of tcx ingress, Linux 6.6: older headers do not know it. */
#define ATTACH_TCX_INGRESS 46
/* melin's own filter of packet:INTERFACE: dpdk/interface/packet_filter.c. */
#define FILTER_PREFERENCE 48597u

/* netdev of Linux 6.3, Documentation/netlink/specs/netdev.yaml. */
#define NETDEV_GET_DEVICE      1
#define NETDEV_ATTRIBUTE_INDEX 1
#define NETDEV_ATTRIBUTE_XDP   3
#define NETDEV_XDP_BASIC       1u
#define NETDEV_XDP_NO_COPIES   8u

/* ---- which interface ---- */

/* The interface of the default route of the lowest metric, proc_net_route(5). */
static bool find_by_route(char name[IF_NAMESIZE])
{
	FILE *routes = fopen("/proc/net/route", "re");
	char line[256], each[IF_NAMESIZE];
	unsigned long destination, mask, metric, least = ~0ul;

	while (routes && fgets(line, sizeof(line), routes)) {
		if (sscanf(line, "%15s %lx %*s %*s %*s %*s %lu %lx", each, &destination, &metric,
			   &mask) == 4 &&
		    destination == 0 && mask == 0 && metric < least) {
			memcpy(name, each, strlen(each) + 1);
			least = metric;
		}
	}
	if (routes)
		fclose(routes);
	return least != ~0ul;
}

static bool ask_interface(int request, const char *name, struct ifreq *answer)
{
	const int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool fine;

	memset(&answer->ifr_ifru, 0, sizeof(answer->ifr_ifru));
	snprintf(answer->ifr_name, sizeof(answer->ifr_name), "%s", name);
	fine = descriptor >= 0 && ioctl(descriptor, (unsigned long)request, answer) == 0;
	if (descriptor >= 0)
		close(descriptor);
	return fine;
}

static bool is_ethernet(const char *name)
{
	struct ifreq answer;

	return ask_interface(SIOCGIFHWADDR, name, &answer) &&
	       answer.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

static unsigned flags_of(const char *name)
{
	struct ifreq answer;

	return ask_interface(SIOCGIFFLAGS, name, &answer) ? (unsigned short)answer.ifr_flags : 0;
}

/* Without a default route: the first that could serve, with these flags. */
static bool find_by_kind(char name[IF_NAMESIZE], unsigned flags)
{
	struct if_nameindex *all = if_nameindex();
	bool found = false;

	for (size_t i = 0; all && all[i].if_index && !found; i++) {
		found = is_ethernet(all[i].if_name) &&
			(flags_of(all[i].if_name) & (flags | IFF_LOOPBACK)) == flags;
		if (found)
			snprintf(name, IF_NAMESIZE, "%s", all[i].if_name);
	}
	if (all)
		if_freenameindex(all);
	return found;
}

/* The kernel tells of a carrier a moment after the interface is up. */
static bool has_carrier(const char *name)
{
	for (int i = 0; i < 20; i++) {
		if (flags_of(name) & IFF_RUNNING)
			return true;
		usleep(50000);
	}
	return false;
}

/* Whether nobody under melin has the interface now; or why it cannot be had. */
static bool is_unclaimed(unsigned interface, const char *name, struct reason *reason)
{
	const int claim = interface_claim((int)interface, name, reason);

	if (claim >= 0)
		kernel_close(claim);
	return claim >= 0;
}

void check_interface(struct check_about *about, struct check_result *result)
{
	char *name = about->interface;
	struct reason reason;
	unsigned flags;

	if (!about->is_host && !check_takes_interface(about)) {
		check_say(result, CHECK_OK, "own mode on %s takes none", about->device.name);
		return;
	}
	if (!*name && !find_by_route(name) && !find_by_kind(name, IFF_UP) &&
	    !find_by_kind(name, 0)) {
		check_say(result, CHECK_MISSING, "there is no Ethernet interface");
		check_mend(result, "ip -brief link");
		return;
	}
	flags = flags_of(name);
	if (!if_nametoindex(name)) {
		check_say(result, CHECK_MISSING, "there is no interface %s", name);
		check_mend(result, "ip -brief link");
	} else if (!is_ethernet(name) || (flags & IFF_LOOPBACK)) {
		check_say(result, CHECK_MISSING,
			  "%s is no Ethernet interface: its connections stay in the kernel", name);
		check_mend(result, "ip -brief link");
	} else if (!(flags & IFF_UP)) {
		check_say(result, CHECK_MISSING, "%s is down", name);
		check_mend_by(result, "ip", "link", "set", "dev", name, "up", NULL);
	} else if (!has_carrier(name)) {
		check_say(result, CHECK_MISSING, "%s has no carrier: is the cable in?", name);
	} else if (!about->is_host && about->has_rights &&
		   !is_unclaimed(if_nametoindex(name), name, &reason)) {
		check_say(result, CHECK_MISSING, "%s", reason.text);
		check_mend_by(result, program_invocation_name, "stat", NULL);
	} else {
		check_say(result, CHECK_OK, "%s is an Ethernet interface and up", name);
	}
}

/* ---- who else is at it ---- */

/* How many programs are there, and the identifier of the first; -1: it may not be asked. */
static int count_ingress(unsigned interface, uint32_t *first)
{
	uint32_t programs[INGRESS_MOST] = { 0 };
	union bpf_attr attributes = { 0 };

	attributes.query.target_fd = interface;
	attributes.query.attach_type = ATTACH_TCX_INGRESS;
	attributes.query.prog_ids = (uintptr_t)programs;
	attributes.query.prog_cnt = INGRESS_MOST;
	if (kernel_call(SYS_bpf, BPF_PROG_QUERY, (long)&attributes, sizeof(attributes), 0) < 0)
		return -1;
	*first = programs[0];
	return (int)attributes.query.prog_cnt;
}

void check_tap(struct check_about *about, struct check_result *result)
{
	uint32_t first = 0;
	const int count =
		*about->interface ? count_ingress(if_nametoindex(about->interface), &first) : -1;

	if (!about->is_host) {
		check_say(result, CHECK_OK, "own mode has none");
		return;
	}
	if (count >= INGRESS_MOST - 1) {
		check_say(
			result, CHECK_MISSING,
			"%d programs are at the tcx ingress of %s, and there is room for no other",
			count, about->interface);
		/* Names the process; bpftool(8) of Debian 12 does not know tcx. */
		check_mend(result, "grep -lsE 'prog_id:.%u$' /proc/[0-9]*/fdinfo/*", first);
	} else if (count >= 0) {
		check_say(result, CHECK_OK, "there is room at the tcx ingress of %s (%d of %d)",
			  about->interface, count, INGRESS_MOST - 1);
	} else {
		check_say(result, CHECK_OK, "%s",
			  *about->interface ? "only root can ask" : "there is no interface");
	}
}

/* ---- what stands in front of it ---- */

/* Follows the rules as "nft list ruleset" prints them: the table and chain of a translation. */
static bool find_translation(FILE *rules, char table[128], char word[16])
{
	static const char *const words[] = { "masquerade", "snat", "dnat", "redirect" };
	char line[1024], kind[16], family[16], name[96];

	while (fgets(line, sizeof(line), rules)) {
		if (sscanf(line, "%15s %15s %95s", kind, family, name) == 3 &&
		    strcmp(kind, "table") == 0)
			snprintf(table, 128, "%s %s", family, name);
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			const char *at = strstr(line, words[i]);

			/* As a word: not part of a chain's name. */
			if (at && at > line && at[-1] == ' ' &&
			    strchr(" \n", at[strlen(words[i])])) {
				memcpy(word, words[i], strlen(words[i]) + 1);
				return true;
			}
		}
	}
	return false;
}

static bool has_translation(char table[128], char word[16])
{
	FILE *rules =
		popen("PATH=/usr/sbin:/sbin:/usr/bin:/bin nft list ruleset 2>/dev/null", "re");
	bool found = rules && find_translation(rules, table, word);

	/* The rest is read, so that nft does not end by a broken pipe. */
	while (rules && fgetc(rules) != EOF)
		;
	if (rules)
		pclose(rules);
	return found;
}

/* Connection tracking has to be told that it misses segments. */
static bool cannot_tell_tracking(void)
{
	const struct loan_tuple nobody = { .family = AF_INET };
	struct tracking tracking;
	bool cannot;

	tracking_open(&tracking);
	cannot = tracking_tell(&tracking, &nobody) == REFUSAL_TRACKED;
	tracking_close(&tracking);
	return cannot;
}

static bool has_ipsec(void)
{
	struct netlink netlink;
	bool has = netlink_open(&netlink, NETLINK_XFRM) == 0 && ipsec_has_policies(&netlink);

	netlink_close(&netlink);
	return has;
}

void check_firewall(struct check_about *about, struct check_result *result)
{
	static char table[128]; /* the command that mends it points there */
	char word[16], *name;

	if (!about->is_host) {
		check_say(result, CHECK_OK, "own mode has addresses of its own, before the host's");
	} else if (!about->has_rights) {
		check_say(result, CHECK_OK, "only root can ask");
	} else if (has_ipsec()) {
		check_say(result, CHECK_MISSING,
			  "the host has IPsec policies: all connections stay in the kernel; if "
			  "nothing here needs them");
		check_mend(result, "ip xfrm policy flush");
	} else if (cannot_tell_tracking()) {
		check_say(result, CHECK_MISSING,
			  "connections are tracked, and nothing can be told to the tracking");
		check_mend(result, "modprobe nf_conntrack_netlink");
	} else if (has_translation(table, word)) {
		check_say(result, CHECK_DEGRADED,
			  "the table %s translates addresses (%s): such connections stay in the "
			  "kernel; if nothing here needs it",
			  table, word);
		name = table + strcspn(table, " ");
		if (*name)
			*name++ = '\0';
		check_mend_by(result, "nft", "delete", "table", table, name, NULL);
	} else {
		check_say(result, CHECK_OK, "no translation of addresses, no IPsec");
	}
}

/* ---- AF_XDP, for own mode ---- */

/* 0: none, or a kernel that does not tell. */
static uint64_t xdp_features(struct netlink *netlink, uint32_t interface)
{
	const struct genlmsghdr family = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
	const struct genlmsghdr device = { .cmd = NETDEV_GET_DEVICE, .version = 1 };
	const uint16_t *type;
	const uint64_t *features;
	uint64_t copy = 0;

	netlink_begin(netlink, GENL_ID_CTRL, 0, &family, sizeof(family));
	netlink_add(netlink, CTRL_ATTR_FAMILY_NAME, "netdev", sizeof("netdev"));
	if (netlink_ask(netlink) < 0)
		return 0;
	type = netlink_find(netlink, sizeof(family), CTRL_ATTR_FAMILY_ID, sizeof(*type));
	if (!type)
		return 0;
	netlink_begin(netlink, *type, 0, &device, sizeof(device));
	netlink_add(netlink, NETDEV_ATTRIBUTE_INDEX, &interface, sizeof(interface));
	if (netlink_ask(netlink) < 0)
		return 0;
	features = netlink_find(netlink, sizeof(device), NETDEV_ATTRIBUTE_XDP, sizeof(*features));
	if (features)
		memcpy(&copy, features, sizeof(copy));
	return copy;
}

static unsigned count_queues(const char *name)
{
	char path[128];
	unsigned count = 0;

	do {
		snprintf(path, sizeof(path), "/sys/class/net/%s/queues/rx-%u", name, count);
	} while (access(path, F_OK) == 0 && ++count);
	return count;
}

void check_driver(struct check_about *about, struct check_result *result)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_name = "" };
	static char device[sizeof("MELIN_DEV=packet:") + IF_NAMESIZE];
	struct netlink netlink;
	uint64_t features = 0;
	unsigned queues;
	int descriptor;

	if (!about->is_host && !check_uses_xdp(about)) {
		check_say(result, CHECK_OK, "not for this device");
		return;
	}
	if (!if_nametoindex(about->interface)) {
		check_say(result, CHECK_OK, "there is no interface for own mode");
		return;
	}
	memcpy(request.ifr_name, about->interface, sizeof(request.ifr_name));
	request.ifr_data = (char *)&driver;
	descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0 || ioctl(descriptor, SIOCETHTOOL, &request) < 0)
		strcpy(driver.driver, "unknown");
	if (descriptor >= 0)
		close(descriptor);
	if (netlink_open(&netlink, NETLINK_GENERIC) == 0)
		features = xdp_features(&netlink, if_nametoindex(about->interface));
	netlink_close(&netlink);
	queues = count_queues(about->interface);
	if (features & NETDEV_XDP_BASIC) {
		check_say(result, CHECK_OK, "driver %.31s, %u queue%s, AF_XDP %s copies",
			  driver.driver, queues, queues == 1 ? "" : "s",
			  features & NETDEV_XDP_NO_COPIES ? "without" : "with");
	} else if (about->is_host) {
		check_say(result, CHECK_OK,
			  "driver %.31s, %u queue%s, without XDP, of which host mode makes no use",
			  driver.driver, queues, queues == 1 ? "" : "s");
	} else {
		check_say(result, CHECK_DEGRADED, "driver %.31s, %u queue%s, does not know XDP",
			  driver.driver, queues, queues == 1 ? "" : "s");
		snprintf(device, sizeof(device), "MELIN_DEV=packet:%s", about->interface);
		check_mend_by(result, "export", device, NULL);
	}
}

/* ---- leftovers of dead processes ---- */

static bool is_melins_program(uint32_t id)
{
	union bpf_attr attributes = { .prog_id = id };
	struct bpf_prog_info info = { 0 };
	const long program = kernel_call(SYS_bpf, BPF_PROG_GET_FD_BY_ID, (long)&attributes,
					 sizeof(attributes), 0);
	bool is = false;

	if (program < 0)
		return false;
	attributes = (union bpf_attr){ .info = { .bpf_fd = (uint32_t)program,
						 .info_len = sizeof(info),
						 .info = (uintptr_t)&info } };
	if (kernel_call(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, (long)&attributes, sizeof(attributes),
			0) == 0)
		is = strcmp(info.name, MELIN_XDP_PROGRAM) == 0;
	kernel_close((int)program);
	return is;
}

/* The XDP program at the interface; 0: there is none. */
static uint32_t xdp_program(struct netlink *netlink, unsigned interface)
{
	const struct ifinfomsg message = { .ifi_index = (int)interface };
	const struct nlattr *nest, *inside;
	uint32_t id = 0;

	netlink_begin(netlink, RTM_GETLINK, 0, &message, sizeof(message));
	if (netlink_ask(netlink) < 0)
		return 0;
	nest = netlink_find(netlink, sizeof(message), IFLA_XDP, NLA_HDRLEN);
	if (!nest)
		return 0;
	/* What is found is the data of the attribute, which ends where its length says. */
	for (const char *
		     at = (const char *)nest,
		    *end = at + ((const struct nlattr *)(at - NLA_HDRLEN))->nla_len - NLA_HDRLEN;
	     end - at >= NLA_HDRLEN; at += NLA_ALIGN(inside->nla_len)) {
		inside = (const void *)at;
		if (inside->nla_len < NLA_HDRLEN)
			break;
		if (inside->nla_type == IFLA_XDP_PROG_ID)
			memcpy(&id, at + NLA_HDRLEN, sizeof(id));
	}
	return id;
}

static bool has_filter(struct netlink *netlink, unsigned interface)
{
	const struct tcmsg message = {
		.tcm_ifindex = (int)interface,
		.tcm_handle = 1,
		.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
		.tcm_info = TC_H_MAKE(FILTER_PREFERENCE << 16, htons(ETH_P_ALL)),
	};

	netlink_begin(netlink, RTM_GETTFILTER, 0, &message, sizeof(message));
	netlink_add(netlink, TCA_KIND, "bpf", sizeof("bpf"));
	return netlink_ask(netlink) == 0;
}

static bool is_leftover(struct netlink *netlink, const struct if_nameindex *one, bool *is_xdp)
{
	const uint32_t program = xdp_program(netlink, one->if_index);
	struct reason reason;

	*is_xdp = program && is_melins_program(program);
	return (*is_xdp || has_filter(netlink, one->if_index)) &&
	       is_unclaimed(one->if_index, one->if_name, &reason);
}

static void say_leftover(const char *interface, bool is_xdp, struct check_result *result)
{
	static char touched[IF_NAMESIZE], preference[16];

	snprintf(touched, sizeof(touched), "%s", interface);
	snprintf(preference, sizeof(preference), "%u", FILTER_PREFERENCE);
	result->touches = touched;
	result->is_safe = true;
	check_say(result, CHECK_DEGRADED, "%s has the %s of a process that is dead", touched,
		  is_xdp ? "XDP program" : "packet filter");
	if (is_xdp)
		check_mend_by(result, "ip", "link", "set", "dev", touched, "xdp", "off", NULL);
	else
		check_mend_by(result, "tc", "filter", "delete", "dev", touched, "ingress",
			      "preference", preference, NULL);
}

/* The first one behind the interface of that number, and whether it is not the last. */
static void find_leftovers(struct netlink *netlink, unsigned behind, struct check_result *result)
{
	struct if_nameindex *all = if_nameindex(), *first = NULL;
	bool is_xdp, is_first_xdp = false;
	unsigned count = 0;

	for (struct if_nameindex *one = all; one && one->if_index; one++) {
		if (one->if_index <= behind || !is_leftover(netlink, one, &is_xdp))
			continue;
		count++;
		if (!first || one->if_index < first->if_index) {
			first = one;
			is_first_xdp = is_xdp;
		}
	}
	if (first) {
		say_leftover(first->if_name, is_first_xdp, result);
		result->more = count > 1 ? first->if_index : 0;
	}
	if (all)
		if_freenameindex(all);
}

void check_leftovers(struct check_about *about, struct check_result *result)
{
	struct netlink netlink;

	if (!about->has_rights) {
		check_say(result, CHECK_OK, "only root can ask");
		return;
	}
	check_say(result, CHECK_OK, "no dead process has left anything%s",
		  about->behind ? " else" : "");
	if (netlink_open(&netlink, NETLINK_ROUTE) == 0)
		find_leftovers(&netlink, about->behind, result);
	netlink_close(&netlink);
}
