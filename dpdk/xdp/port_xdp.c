/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A Linux interface as a port of DPDK's: net_af_xdp with an XDP program of ours. The interface
 * stays the kernel's too. Taking it for this process is interface.c's, the program's maps are
 * xdp.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dpdk/device_link.h"
#include "dpdk/eal/journal.h"
#include "dpdk/frames/gso.h"
#include "dpdk/port/limits.h"
#include "dpdk/frames/pool.h"
#include "dpdk/port/port.h"
#include "dpdk/xdp/melin_xdp.h"
#include "dpdk/eal/wait_descriptor.h"
#include "dpdk/xdp/xdp.h"

#define XDP_RING     2048 /* the driver's own default, twice the fill of a busy burst */
#define XDP_RING_MIN 64
#define XDP_RING_MAX 4096

/* ---- on a program thread ---- */

static int claim(struct device_link *link, struct reason *reason)
{
#ifdef HAVE_XDP
	struct interface *interface = &link->interface;
	int error = interface_take(interface, link->device.name, false, &link->stack, reason);

	if (error)
		return error;
	error = xdp_remove_stale(interface, reason);
	if (error) {
		interface_release(interface);
		return error;
	}
	if (interface->channels > MELIN_XDP_QUEUES_MAX)
		interface->channels = MELIN_XDP_QUEUES_MAX;
	interface_probe(interface, &link->stack);
	return 0;
#else
	(void)link;
	return reason_set(reason, -ENOTSUP,
			  "this build is without the XDP program: no Linux interface can be "
			  "used (configure --enable-xdp)");
#endif
}

/* All queues that the interface has, unless the user wants fewer. */
static unsigned queues_of(const struct device_link *link)
{
	unsigned wanted = link->stack.queues, have = link->interface.channels;

	return wanted && wanted < have ? wanted : have;
}

static size_t memory(const struct device_link *link)
{
	unsigned ring = link->stack.rxd > XDP_RING ? XDP_RING_MAX : XDP_RING;

	return port_pool_memory(link, queues_of(link), ring, ring, true);
}

static int check_memory(const struct device_link *link, size_t bytes, struct reason *reason)
{
	return interface_check_memory(&link->interface, bytes, queues_of(link), reason);
}

/*
 * Opens the socket for large segments where frames are copied anyway. With hardware the device's
 * own rings are the faster way, and a VLAN's tag would be in the way of the offload.
 */
static int open_sockets(struct device_link *link, struct reason *reason)
{
	(void)reason;
	if (!link->interface.is_virtual || link->stack.vlan)
		return 0;
	link->gso = gso_open(link->interface.ifindex, false, GSO_RUNS);
	if (!link->gso)
		journal_add(LOG_LEVEL_DEBUG, "no packet socket for large segments on %s: %s",
			    link->interface.name, strerrordesc_np(errno));
	return 0;
}

static void close_sockets(struct device_link *link)
{
	if (link->gso)
		gso_close(link->gso);
	link->gso = NULL;
}

/* ---- the port ---- */

/* Beside melin-stack.so, or one folder up in the build tree (where libtool has .libs). */
static int find_xdp_object(const struct device_link *link, char *path, size_t size,
			   struct reason *reason)
{
	static const char *const folders[] = { "", "../" };
	size_t i;

	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, size, "%s/%s%s", link->stack.module_directory, folders[i],
			 MELIN_XDP_OBJECT);
		if (access(path, R_OK) == 0 && !strpbrk(path, ",[]"))
			return 0;
	}
	return reason_set(reason, -ENOENT,
			  "no XDP program %s in %s (or its path has a comma or bracket, which "
			  "DPDK cannot be told)",
			  MELIN_XDP_OBJECT, link->stack.module_directory);
}

static int describe(const struct device_link *link, char *text, size_t size, struct reason *reason)
{
	char path[512];
	int error = find_xdp_object(link, path, sizeof(path), reason);

	/*
	 * Without hardware, busy polling has nobody to poll: the empty system call that each look
	 * at an empty ring would then be is left out.
	 */
	snprintf(text, size, "net_af_xdp%d,iface=%s,start_queue=0,queue_count=%u,xdp_prog=%s%s",
		 link->interface.ifindex, link->device.name, link->queues, path,
		 link->interface.is_virtual ? ",busy_budget=0" : "");
	return error;
}

/* AF_XDP's rings are powers of two. */
static unsigned ring_size(const char *name, unsigned wanted)
{
	unsigned size = XDP_RING_MIN;

	if (!wanted)
		return XDP_RING;
	wanted = limits_clamp(name, wanted, size, XDP_RING_MAX);
	while (size < wanted)
		size *= 2;
	if (size != wanted)
		journal_add(LOG_LEVEL_WARN, "%s=%u: the device needs a power of two, using %u",
			    name, wanted, size);
	return size;
}

static void choose_rings(struct device_link *link, const struct rte_eth_dev_info *info)
{
	const struct stack_config *config = &link->stack;

	(void)info;
	link->rxd = (uint16_t)ring_size("MELIN_RXD", config->rxd);
	link->txd = link->rxd; /* the driver makes both alike */
	if (config->txd && config->txd != link->txd)
		journal_add(LOG_LEVEL_WARN,
			    "MELIN_TXD=%u: on an interface it is as MELIN_RXD, using %u",
			    config->txd, link->txd);
}

/* An interface has its queues already, and the driver is told of them before it says anything. */
static void choose_queues(struct device_link *link)
{
	const struct interface *interface = &link->interface;

	if (link->stack.queues)
		limits_clamp("MELIN_QUEUES", link->stack.queues, 1, interface->channels);
	link->queues = (uint16_t)queues_of(link);
	if (interface->receive_queues > link->queues)
		journal_add(
			LOG_LEVEL_WARN,
			"%s has %u receive queues and the stack serves %u: frames of the others "
			"go to the kernel (ethtool -L %s)",
			interface->name, interface->receive_queues, link->queues, interface->name);
}

static unsigned mtu_max(const struct device_link *link, const struct rte_eth_dev_info *info)
{
	unsigned chunk = xdp_mtu_max((unsigned)sysconf(_SC_PAGESIZE));

	(void)link;
	return info->max_mtu < chunk ? info->max_mtu : chunk;
}

/*
 * An interface's MTU is the kernel's too: it is raised if the user says so, but never lowered; the
 * stack's own connections keep to the smaller one.
 */
static bool is_mtu_told(const struct device_link *link)
{
	return link->info.mtu > link->interface.mtu;
}

static int current_mtu(const struct device_link *link, uint16_t *mtu)
{
	*mtu = (uint16_t)link->interface.mtu;
	return 0;
}

static unsigned pool_flags(const struct device_link *link)
{
	(void)link;
	return POOL_WITHOUT_HARDWARE;
}

static int check_pool(const struct device_link *link, struct reason *reason)
{
	if (link->pool->nb_mem_chunks == 1)
		return 0;
	return reason_set(reason, -ENOMEM,
			  "the packet buffers are not in one piece of memory, which "
			  "AF_XDP needs: provide more hugepages, or none");
}

static int before_start(struct device_link *link, struct reason *reason)
{
	return xdp_configure(&link->interface, link->control, &link->stack, reason);
}

static void closed(struct device_link *link)
{
	xdp_close_descriptors(link->control);
}

static const struct port_kind kind = {
	.describe = describe,
	.choose_rings = choose_rings,
	.mtu_max = mtu_max,
	.is_mtu_told = is_mtu_told,
	.current_mtu = current_mtu,
	.pool_flags = pool_flags,
	.check_pool = check_pool,
	.before_start = before_start,
	.closed = closed,
	.is_xdp = true,
	.queues_refused =
		"the interface's queues cannot be set up (does another AF_XDP program use "
		"them?)",
	/*
	 * The kernel lets go of an AF_XDP queue in a work item of its own, some time after the
	 * process that used it has gone; a busy machine takes its time. Three seconds in all.
	 */
	.attempts = 120,
};

static int open_port(struct device_link *link, struct reason *reason)
{
	int error;

	choose_queues(link);
	journal_capture_bpf();
	error = port_open(link, reason);
	journal_release_bpf();
	return error;
}

const struct backend backend_interface = {
	.claim = claim,
	.memory = memory,
	.check_memory = check_memory,
	.port = &kind,
	.open = open_port,
	.close = port_close,
	.open_sockets = open_sockets,
	.close_sockets = close_sockets,
	.abandon_sockets = close_sockets,
	.needs_descriptor = wait_is_needed, /* net_af_xdp uses its sockets alone */
	.receive = port_receive,
	.transmit = port_transmit,
	.flush = port_flush,
	.drops = port_drops,
};
