/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port of DPDK's: finds or makes the device, asks what it can do, clamps the user's wishes to
 * that, has the pool made and starts the queues. All on the thread that owns DPDK. Not for what the
 * kinds of port do differently (port_xdp.c, port_bus.c), nor for frames (port_frames.c).
 */
#include "dpdk/port/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>

#include "dpdk/eal/eal.h"
#include "dpdk/device_link.h"
#include "dpdk/eal/journal.h"
#include "dpdk/port/limits.h"
#include "dpdk/frames/pool.h"

#define MTU_DEFAULT 1500

/* Between two attempts to set queues up that something else still has. */
#define REFUSED_WAIT_US 25000

/* ---- the device ---- */

static int probe(const struct device_link *link, const char *text, struct reason *reason)
{
	char what[DEVICE_NAME_MAX + 64];
	int error;

	snprintf(what, sizeof(what), "DPDK cannot use device %s", link->device.name);
	error = rte_dev_probe(text);
	/* What DPDK gives when no bus can make sense of the name. */
	if (error == -EFAULT)
		return reason_set(reason, -ENODEV,
				  "%s: error 14: no driver of DPDK's has such a name", what);
	return error ? eal_failure(what, error, reason) : 0;
}

static int make_device(struct device_link *link, const struct port_kind *kind,
		       struct reason *reason)
{
	char text[1024];
	struct rte_dev_iterator iterator;
	uint16_t port, found = RTE_MAX_ETHPORTS;
	int error = kind->describe(link, text, sizeof(text), reason);

	if (!error && link->device.kind != DEVICE_PCI) /* those EAL has probed already */
		error = probe(link, text, reason);
	if (error)
		return error;
	text[strcspn(text, ",")] = '\0';
	RTE_ETH_FOREACH_MATCHING_DEV(port, text, &iterator)
	{
		if (found == RTE_MAX_ETHPORTS)
			found = port;
	}
	if (found == RTE_MAX_ETHPORTS)
		return reason_set(
			reason, -ENODEV,
			"DPDK cannot use device %s: no driver took it; bind it to vfio-pci "
			"(dpdk-devbind.py) and see that DPDK has a driver for it",
			link->device.name);
	link->port = found;
	link->has_port = true;
	link->is_guarded =
		link->device.library && strcmp(link->device.library, DEVICE_MEMIF_LIBRARY) == 0;
	return 0;
}

/* ---- what the user wants and what the device can do ---- */

/* What the user wants, or what a Linux interface has; 0 if neither is known. */
static unsigned wanted_mtu(const struct device_link *link)
{
	return link->stack.mtu ? link->stack.mtu
			       : link->interface.mtu; /* 0 if it is no interface */
}

/* Leaves the MTU in info; the port is told by apply_mtu(). */
static int choose_mtu(struct device_link *link, const struct port_kind *kind,
		      const struct rte_eth_dev_info *info)
{
	unsigned wanted = wanted_mtu(link), low = info->min_mtu;
	uint16_t current = MTU_DEFAULT;
	int error = rte_eth_dev_get_mtu(link->port, &current);

	if (error)
		return error;
	if (low == 0)
		low = RTE_ETHER_MIN_MTU;
	link->info.mtu =
		(uint16_t)limits_clamp(link->stack.mtu ? "MELIN_MTU" : "MTU",
				       wanted ? wanted : current, low, kind->mtu_max(link, info));
	return 0;
}

static int apply_mtu(struct device_link *link, const struct port_kind *kind)
{
	uint16_t mtu = link->info.mtu, current;
	int error;

	if (!kind->is_mtu_told(link))
		return 0;
	error = rte_eth_dev_set_mtu(link->port, mtu);
	if (error == 0)
		return 0;
	if (error == -ENOTSUP && rte_eth_dev_get_mtu(link->port, &current) == 0 && mtu <= current)
		return 0;
	if (kind->current_mtu(link, &current) < 0)
		return error;
	journal_add(LOG_LEVEL_WARN, "the device does not take an MTU of %u (%s), using %u", mtu,
		    rte_strerror(-error), current);
	link->info.mtu = current;
	return 0;
}

/* ---- the pool ---- */

static struct pool_need need_of(unsigned queues, unsigned rxd, unsigned txd, unsigned mtu,
				bool is_xdp)
{
	return (struct pool_need){
		.queues = queues, .rxd = rxd, .txd = txd, .mtu = mtu, .xdp = is_xdp
	};
}

size_t port_pool_memory(const struct device_link *link, unsigned queues, unsigned rxd, unsigned txd,
			bool is_xdp)
{
	unsigned mtu = wanted_mtu(link);
	const struct pool_need need = need_of(queues, rxd, txd, mtu ? mtu : MTU_DEFAULT, is_xdp);

	return pool_memory(link, &need);
}

static int make_pool(struct device_link *link, const struct port_kind *kind, struct reason *reason)
{
	const struct pool_need need =
		need_of(link->queues, link->rxd, link->txd, link->info.mtu, kind->is_xdp);
	int error = pool_open(link, &need, kind->pool_flags(link), reason);

	if (error == 0 && kind->check_pool)
		error = kind->check_pool(link, reason);
	return error;
}

/* ---- configuration ---- */

static void choose_offloads(struct device_link *link, const struct rte_eth_dev_info *info)
{
	/*
	 * Where a kernel may be the peer we look at the checksum ourselves: a driver that does it
	 * in software (net_tap) calls the unfinished form bad.
	 */
	if (!link->info.kernel_peer)
		link->rx_offloads |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	link->tx_offloads |= RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	if (link->stack.vlan) {
		link->rx_offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
		link->tx_offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	}
	link->rx_offloads &= info->rx_offload_capa;
	link->tx_offloads &= info->tx_offload_capa;
}

static int configure(struct device_link *link, const struct port_kind *kind,
		     const struct rte_eth_dev_info *info)
{
	const uint64_t spread = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP;
	struct rte_eth_conf conf = { .rxmode = { .mtu = link->info.mtu,
						 .offloads = link->rx_offloads },
				     .txmode = { .offloads = link->tx_offloads } };
	int error;

	if (link->queues > 1 && info->flow_type_rss_offloads & spread) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & spread;
	}
	error = rte_eth_dev_configure(link->port, link->queues, link->queues, &conf);
	if (error || !kind->adjust_rings)
		return error;
	return kind->adjust_rings(link);
}

static int set_up_queues(struct device_link *link, const struct rte_eth_dev_info *info)
{
	struct rte_eth_rxconf rx = info->default_rxconf;
	struct rte_eth_txconf tx = info->default_txconf;
	int node = rte_eth_dev_socket_id(link->port), error = 0;
	uint16_t queue;

	rx.offloads = link->rx_offloads;
	tx.offloads = link->tx_offloads;
	for (queue = 0; queue < link->queues && !error; queue++) {
		error = rte_eth_rx_queue_setup(link->port, queue, link->rxd, (unsigned)node, &rx,
					       link->pool);
		if (!error)
			error = rte_eth_tx_queue_setup(link->port, queue, link->txd, (unsigned)node,
						       &tx);
	}
	return error;
}

static int start(struct device_link *link, const struct port_kind *kind, struct reason *reason)
{
	struct rte_ether_addr mac;
	int error = 0;

	if (kind->before_start)
		error = kind->before_start(link, reason);
	if (error)
		return error;
	error = rte_eth_dev_start(link->port);
	if (error == 0)
		error = rte_eth_macaddr_get(link->port, &mac);
	if (error)
		return eal_failure("the device does not start", error, reason);
	memcpy(link->info.mac, mac.addr_bytes, sizeof(link->info.mac));
	if (kind->started)
		kind->started(link);
	return 0;
}

static void note_driver(struct device_link *link, const struct rte_eth_dev_info *info)
{
	snprintf(link->driver, sizeof(link->driver), "%s", info->driver_name);
	link->info.driver = link->driver;
	/* A virtio card's other end is the host's kernel; it sends checksums unfinished too. */
	link->info.kernel_peer = link->device.kernel_peer || strstr(link->driver, "virtio");
}

static int set_up(struct device_link *link, const struct port_kind *kind,
		  const struct rte_eth_dev_info *info, struct reason *reason)
{
	int error;

	note_driver(link, info);
	kind->choose_rings(link, info);
	choose_offloads(link, info);
	error = choose_mtu(link, kind, info);
	if (error == 0)
		error = configure(link, kind, info);
	if (error == 0)
		error = apply_mtu(link, kind);
	if (error)
		return eal_failure("the device cannot be configured", error, reason);
	error = make_pool(link, kind, reason);
	if (error)
		return error;
	error = set_up_queues(link, info);
	link->queues_refused = error != 0;
	if (error)
		return eal_failure(kind->queues_refused, error, reason);
	return start(link, kind, reason);
}

static int open_once(struct device_link *link, struct reason *reason)
{
	const struct port_kind *kind = link->opened_as->port;
	struct rte_eth_dev_info info;
	int error;

	link->queues_refused = false;
	journal_forget();
	error = make_device(link, kind, reason);
	if (error == 0) {
		error = rte_eth_dev_info_get(link->port, &info);
		if (error)
			eal_failure("the device gives no information", error, reason);
	}
	if (error == 0)
		error = set_up(link, kind, &info, reason);
	if (error)
		port_close(link);
	return error;
}

/*
 * net_af_xdp has one error for everything, so busy cannot be told from the rest, and its queues
 * cannot be set up a second time: the device is made anew.
 */
int port_open(struct device_link *link, struct reason *reason)
{
	unsigned attempt = 1;
	int error;

	while ((error = open_once(link, reason)) && link->queues_refused &&
	       attempt++ < link->opened_as->port->attempts)
		usleep(REFUSED_WAIT_US);
	return error;
}

void port_close(struct device_link *link)
{
	struct rte_eth_dev_info info;
	bool has_info;

	if (!link->has_port)
		return;
	has_info = rte_eth_dev_info_get(link->port, &info) == 0;
	rte_eth_dev_stop(link->port);
	rte_eth_dev_close(link->port);
	link->has_port = false;
	if (has_info && link->device.kind != DEVICE_PCI)
		rte_dev_remove(info.device);
	if (link->opened_as->port->closed)
		link->opened_as->port->closed(link);
	pool_close(link);
}
