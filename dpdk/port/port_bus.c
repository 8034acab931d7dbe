/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port that a bus or a driver of DPDK's own brings: network cards by their PCI address, and
 * virtual devices by their name and arguments. Not for Linux interfaces: port_xdp.c, packet.c.
 */
#include <stdio.h>

#include "dpdk/device_link.h"
#include "dpdk/eal/journal.h"
#include "dpdk/port/limits.h"
#include "dpdk/frames/pool.h"
#include "dpdk/port/port.h"
#include "dpdk/eal/wait_descriptor.h"

#define RING_DEFAULT 1024 /* where the driver does not say */

/* For EAL's memory, before the driver is known: not less than any default. */
#define RING_ESTIMATE 2048

static bool is_card(const struct device_link *link)
{
	return link->device.kind == DEVICE_PCI;
}

static size_t memory(const struct device_link *link)
{
	const struct stack_config *config = &link->stack;

	return port_pool_memory(link, config->queues ? config->queues : 1,
				config->rxd ? config->rxd : RING_ESTIMATE,
				config->txd ? config->txd : RING_ESTIMATE, false);
}

static int describe(const struct device_link *link, char *text, size_t size, struct reason *reason)
{
	const struct device *device = &link->device;

	(void)reason;
	snprintf(text, size, "%s%s%s", device->name, device->arguments[0] ? "," : "",
		 device->arguments);
	return 0;
}

static unsigned ring_size(const char *name, unsigned wanted, const struct rte_eth_desc_lim *limit,
			  unsigned standard)
{
	unsigned low = limit->nb_min ? limit->nb_min : 1, align = limit->nb_align;
	unsigned high = limit->nb_max ? limit->nb_max : UINT16_MAX, size;

	if (!standard)
		standard = RING_DEFAULT;
	if (wanted)
		size = limits_clamp(name, wanted, low, high);
	else
		size = standard < low ? low : standard > high ? high : standard;
	if (align > 1 && size % align)
		size = size < align ? align : size - size % align;
	return size;
}

static void choose_rings(struct device_link *link, const struct rte_eth_dev_info *info)
{
	const struct stack_config *config = &link->stack;
	unsigned high = info->max_rx_queues < info->max_tx_queues ? info->max_rx_queues
								  : info->max_tx_queues;

	link->queues =
		(uint16_t)(config->queues ? limits_clamp("MELIN_QUEUES", config->queues, 1, high)
					  : 1);
	link->rxd = (uint16_t)ring_size("MELIN_RXD", config->rxd, &info->rx_desc_lim,
					info->default_rxportconf.ring_size);
	link->txd = (uint16_t)ring_size("MELIN_TXD", config->txd, &info->tx_desc_lim,
					info->default_txportconf.ring_size);
}

static unsigned mtu_max(const struct device_link *link, const struct rte_eth_dev_info *info)
{
	unsigned tag = link->stack.vlan && info->max_mtu > RTE_VLAN_HLEN ? RTE_VLAN_HLEN : 0;

	return info->max_mtu < UINT16_MAX ? info->max_mtu - tag : info->max_mtu;
}

static bool is_mtu_told(const struct device_link *link)
{
	(void)link;
	return true;
}

static int current_mtu(const struct device_link *link, uint16_t *mtu)
{
	return rte_eth_dev_get_mtu(link->port, mtu);
}

static int adjust_rings(struct device_link *link)
{
	uint16_t rxd = link->rxd, txd = link->txd;
	int error = rte_eth_dev_adjust_nb_rx_tx_desc(link->port, &rxd, &txd);

	if (error)
		return error;
	if ((link->stack.rxd && rxd != link->rxd) || (link->stack.txd && txd != link->txd))
		journal_add(LOG_LEVEL_WARN,
			    "the device takes %u receive and %u transmit "
			    "descriptors a queue",
			    rxd, txd);
	link->rxd = rxd;
	link->txd = txd;
	return 0;
}

static unsigned pool_flags(const struct device_link *link)
{
	return is_card(link) ? 0 : POOL_WITHOUT_HARDWARE;
}

/*
 * Neighbour discovery needs the solicited-node groups. A device that cannot take all multicast is
 * made promiscuous; one that can do neither mostly filters nothing.
 */
static void accept_groups(const struct device_link *link)
{
	unsigned i;

	for (i = 0; i < link->stack.address_count; i++) {
		if (link->stack.addresses[i].family == AF_INET6)
			break;
	}
	if (i == link->stack.address_count)
		return;
	if (rte_eth_allmulticast_enable(link->port) < 0 &&
	    rte_eth_promiscuous_enable(link->port) < 0)
		journal_add(LOG_LEVEL_DEBUG, "the device has neither a multicast nor a promiscuous "
					     "mode");
}

/* A card needs seconds for its link after its start; the others have none or have it at once. */
static void warn_without_carrier(const struct device_link *link)
{
	struct rte_eth_link state;

	if (is_card(link) && rte_eth_link_get(link->port, &state) == 0 &&
	    state.link_status == RTE_ETH_LINK_DOWN)
		journal_add(LOG_LEVEL_WARN, "device %s has no link: is the cable in?",
			    link->device.name);
}

static void started(const struct device_link *link)
{
	accept_groups(link);
	warn_without_carrier(link);
}

static const struct port_kind kind = {
	.describe = describe,
	.choose_rings = choose_rings,
	.mtu_max = mtu_max,
	.is_mtu_told = is_mtu_told,
	.current_mtu = current_mtu,
	.adjust_rings = adjust_rings,
	.pool_flags = pool_flags,
	.started = started,
	.queues_refused = "the device's queues cannot be set up",
	.attempts = 1,
};

const struct backend backend_bus = {
	.memory = memory,
	.port = &kind,
	.open = port_open,
	.close = port_close,
	.needs_descriptor = wait_may_be_used, /* which of them a driver uses is not known */
	.receive = port_receive,
	.transmit = port_transmit,
	.flush = port_flush,
	.drops = port_drops,
};
