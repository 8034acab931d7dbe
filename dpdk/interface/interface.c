/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See interface.h: what a Linux interface is like, whether this process may use it, and the claim
 * that keeps other melin processes off it.
 */
#include "dpdk/interface/interface.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/own_descriptor.h"
#include "common/system_call.h"
#include "dpdk/eal/confinement.h"
#include "dpdk/interface/packet_filter.h"
#include "dpdk/interface/interface_claim.h"
#include "dpdk/eal/journal.h"

static int check_capabilities(const char *name, bool by_packets, struct reason *reason)
{
	struct __user_cap_data_struct data[2];
	bool admin, raw, bpf;

	/* If they cannot be known, trying will tell. */
	if (!kernel_capabilities(0, data))
		return 0;
	admin = kernel_has_capability(data, CAP_NET_ADMIN);
	raw = kernel_has_capability(data, CAP_NET_RAW);
	bpf = by_packets || kernel_has_capability(data, CAP_BPF) ||
	      kernel_has_capability(data, CAP_SYS_ADMIN);
	if (admin && raw && bpf)
		return 0;
	return reason_set(
		reason, -EPERM,
		"no permission to use %s on %s:%s%s%s missing; run it as root or give it these "
		"capabilities",
		by_packets ? "packet sockets" : "AF_XDP", name, admin ? "" : " CAP_NET_ADMIN",
		raw ? "" : " CAP_NET_RAW", bpf ? "" : " CAP_BPF");
}

int interface_check_memory(const struct interface *interface, size_t memory, unsigned queues,
			   struct reason *reason)
{
	struct __user_cap_data_struct data[2];
	struct rlimit limit;

	if (!kernel_capabilities(0, data) || kernel_has_capability(data, CAP_IPC_LOCK) ||
	    getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
	    limit.rlim_cur >= memory * queues)
		return 0;
	return reason_set(
		reason, -EPERM,
		"AF_XDP on %s locks %zu MB of memory and the limit is %zu MB: ulimit -l %zu, or "
		"give it CAP_IPC_LOCK",
		interface->name, (memory * queues >> 20) + 1, (size_t)limit.rlim_cur >> 20,
		((memory * queues >> 20) + 1) << 10);
}

int interface_ask(int socket, unsigned long request, struct ifreq *ifr)
{
	return ioctl(socket, request, ifr) < 0 ? -errno : 0;
}

static void query_channels(struct interface *interface, int socket, struct ifreq *ifr)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };

	interface->channels = interface->receive_queues = 1;
	ifr->ifr_data = (char *)&channels;
	if (interface_ask(socket, SIOCETHTOOL, ifr) == 0) {
		if (channels.combined_count)
			interface->channels = channels.combined_count;
		interface->receive_queues = channels.combined_count + channels.rx_count;
	}
	ifr->ifr_data = (char *)&driver;
	/* An interface that sits on no bus has no hardware behind it. */
	interface->is_virtual =
		interface_ask(socket, SIOCETHTOOL, ifr) == 0 && driver.bus_info[0] == '\0';
	ifr->ifr_data = NULL;
}

static int query_interface(struct interface *interface, struct reason *reason)
{
	struct ifreq ifr = { 0 };
	int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error;

	if (socket_ < 0)
		return -errno;
	memcpy(ifr.ifr_name, interface->name, sizeof(ifr.ifr_name));
	error = interface_ask(socket_, SIOCGIFINDEX, &ifr);
	interface->ifindex = ifr.ifr_ifindex;
	if (error == 0)
		error = interface_ask(socket_, SIOCGIFMTU, &ifr);
	interface->mtu = (unsigned)ifr.ifr_mtu;
	if (error == 0)
		error = interface_ask(socket_, SIOCGIFHWADDR, &ifr);
	if (error == 0 && ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		error = -EPROTONOSUPPORT;
	memcpy(interface->mac, ifr.ifr_hwaddr.sa_data, sizeof(interface->mac));
	if (error == 0)
		error = interface_ask(socket_, SIOCGIFFLAGS, &ifr);
	if (error == 0 && !(ifr.ifr_flags & IFF_UP))
		journal_add(LOG_LEVEL_WARN, "interface %s is down: ip link set dev %s up",
			    interface->name, interface->name);
	if (error == 0)
		query_channels(interface, socket_, &ifr);
	close(socket_);

	if (error == -ENODEV)
		return reason_set(
			reason, error,
			"no interface %s in this network namespace; ip link shows those there are",
			interface->name);
	if (error == -EPROTONOSUPPORT)
		return reason_set(reason, error, "interface %s is not an Ethernet one",
				  interface->name);
	if (error)
		return reason_set(reason, error, "cannot look at interface %s: %s", interface->name,
				  strerrordesc_np(-error));
	return 0;
}

/* ---- the claim ---- */

static int take_lock(struct interface *interface, struct reason *reason)
{
	const int claim = interface_claim(interface->ifindex, interface->name, reason);

	interface->lock = claim < 0 ? -1 : claim;
	return claim < 0 ? claim : 0;
}

static bool is_address(const struct ip_address *ours, const struct sockaddr *theirs)
{
	if (!theirs || theirs->sa_family != ours->family)
		return false;
	if (ours->family == AF_INET)
		return memcmp(&((const struct sockaddr_in *)(const void *)theirs)->sin_addr,
			      &ours->v4, sizeof(ours->v4)) == 0;
	return memcmp(&((const struct sockaddr_in6 *)(const void *)theirs)->sin6_addr, &ours->v6,
		      sizeof(ours->v6)) == 0;
}

/* The XDP program would take the kernel's own frames of such an address. */
static int check_addresses(const struct stack_config *config, struct reason *reason)
{
	struct ifaddrs *list, *entry;
	unsigned i;
	int error = 0;

	if (getifaddrs(&list) < 0)
		return 0;
	for (entry = list; entry && !error; entry = entry->ifa_next) {
		for (i = 0; i < config->address_count; i++) {
			if (!is_address(&config->addresses[i], entry->ifa_addr))
				continue;
			error = reason_set(
				reason, -EADDRINUSE,
				"address %u of MELIN_ADDR is the kernel's on %s: give the stack "
				"an address of its own",
				i + 1, entry->ifa_name);
		}
	}
	freeifaddrs(list);
	return error;
}

/* What can be known before the interface is claimed. */
static int look_at_interface(struct interface *interface, const char *name, bool by_packets,
			     const struct stack_config *config, struct reason *reason)
{
	int error;

	memset(interface, 0, sizeof(*interface));
	interface->lock = interface->probes[0] = interface->probes[1] = -1;
	snprintf(interface->name, sizeof(interface->name), "%s", name);
	error = confinement_check_sockets(name, by_packets, reason);
	if (error == 0)
		error = query_interface(interface, reason);
	if (error == 0)
		error = check_capabilities(name, by_packets, reason);
	if (error == 0 && !by_packets)
		error = confinement_check_bpf(name, reason);
	if (error == 0)
		error = check_addresses(config, reason);
	return error;
}

int interface_check(const char *name, bool by_packets, const struct stack_config *config,
		    struct reason *reason)
{
	struct interface interface;

	return look_at_interface(&interface, name, by_packets, config, reason);
}

int interface_take(struct interface *interface, const char *name, bool by_packets,
		   const struct stack_config *config, struct reason *reason)
{
	int error = look_at_interface(interface, name, by_packets, config, reason);

	if (error == 0)
		error = take_lock(interface, reason);
	if (error == 0)
		filter_ingress_remove(interface->ifindex);
	if (error)
		interface_release(interface);
	return error;
}

void interface_release(struct interface *interface)
{
	own_descriptor_close(interface->lock);
	interface->lock = -1;
	for (unsigned i = 0; i < 2; i++) {
		own_descriptor_close(interface->probes[i]);
		interface->probes[i] = -1;
	}
}
