/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening and closing a link (link.h): claims the device, starts DPDK on its own thread, opens the
 * port, and undoes all that in the reverse order. Frames are receive.c's and transmit.c's.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eal.h"
#include "journal.h"
#include "large.h"
#include "packet.h"

struct port_work {
	struct link *link;
	int error;
	char *why;
	size_t why_size;
};

static void open_work(void *argument)
{
	struct port_work *work = argument;

	work->error = port_open(work->link, work->why, work->why_size);
	if (!work->error)
		eal_keep_memory();
}

static void close_work(void *argument)
{
	port_close(argument);
}

static int claim_device(struct link *link, char *why, size_t why_size)
{
	link->xdp.lock = link->xdp.probes[0] = link->xdp.probes[1] = -1;
	if (link->device.kind == DEVICE_PACKET)
		return xdp_claim(&link->xdp, link->device.name, true, &link->stack, why, why_size);
	if (link->device.kind != DEVICE_INTERFACE)
		return 0;
#ifdef HAVE_XDP
	return xdp_claim(&link->xdp, link->device.name, false, &link->stack, why, why_size);
#else
	snprintf(why, why_size,
		 "this build is without the XDP program: no Linux interface can be "
		 "used (configure --enable-xdp)");
	return -ENOTSUP;
#endif
}

static int start_dpdk(struct link *link, char *why, size_t why_size)
{
	struct eal_need need = { .device = &link->device,
				 .words = link->config.stack->eal,
				 .memory = port_memory(link) };
	unsigned queues = link->stack.queues ? link->stack.queues : link->xdp.channels;
	int error = 0;

	if (link->device.kind == DEVICE_INTERFACE)
		error = xdp_check_memory(&link->xdp, need.memory,
					 queues < link->xdp.channels ? queues : link->xdp.channels,
					 why, why_size);
	if (error)
		return error;
	return eal_start(&need, &link->owner, why, why_size);
}

/*
 * Where frames are copied anyway. Behind hardware its own rings are the faster way, and a tag for a
 * VLAN would be in the way of the offload. "packet:NAME" has no other way.
 */
static int open_large(struct link *link, char *why, size_t why_size)
{
	bool needed = link->device.kind == DEVICE_PACKET;
	int error;

	if (!needed &&
	    (link->device.kind != DEVICE_INTERFACE || !link->xdp.is_virtual || link->stack.vlan))
		return 0;
	link->large = large_open(link->xdp.ifindex, needed, needed ? link->txd : LARGE_RUNS);
	if (link->large)
		return 0;
	error = errno;
	snprintf(why, why_size, "no packet socket for large segments on %s: %s", link->xdp.name,
		 strerrordesc_np(error));
	if (needed)
		return -error;
	journal_add(STACK_LOG_DEBUG, "%s", why);
	return 0;
}

static int open_sockets(struct link *link, char *why, size_t why_size)
{
	int error = 0;

	if (link->device.kind == DEVICE_PACKET)
		error = packet_open(link, link->rxd, why, why_size);
	return error ? error : open_large(link, why, why_size);
}

static void close_sockets(struct link *link)
{
	if (link->large)
		large_close(link->large);
	link->large = NULL;
	if (link->packet)
		packet_close(link->packet);
	link->packet = NULL;
}

static int share_descriptors(struct link *link)
{
	/* net_af_xdp uses its sockets alone; of other drivers we do not know. */
	bool (*wanted)(int descriptor) =
		link->device.kind == DEVICE_INTERFACE ? wait_is_needed : wait_may_be_used;
	int error = owner_share(link->owner, wanted);

	return error ? error : wait_open(link);
}

static int open_port(struct link *link, char *why, size_t why_size)
{
	struct port_work work = { .link = link, .why = why, .why_size = why_size };
	int error;

	owner_run(link->owner, open_work, &work);
	if (work.error)
		return work.error;
	error = open_sockets(link, why, why_size);
	if (error == 0) {
		error = share_descriptors(link);
		if (error == 0)
			return 0;
		snprintf(why, why_size, "cannot get at DPDK's descriptors: %s",
			 strerrordesc_np(-error));
	}
	close_sockets(link);
	owner_run(link->owner, close_work, link);
	return error;
}

static int open_link(struct link *link, char *why, size_t why_size)
{
	int error = device_parse(link->stack.device, &link->device, why, why_size);

	if (error)
		return error;
	error = claim_device(link, why, why_size);
	if (error)
		return error;
	error = start_dpdk(link, why, why_size);
	if (error == 0) {
		error = xdp_probe_end(&link->xdp, &link->stack, why, why_size);
		if (error == 0)
			error = open_port(link, why, why_size);
		if (error)
			eal_stop();
	}
	if (error)
		xdp_release(&link->xdp);
	return error;
}

static void report(struct link *link)
{
	const struct link_info *info = &link->info;

	journal_add(STACK_LOG_INFO,
		    "device %s: %s, %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, %u queue%s of %u and %u "
		    "descriptors, %u buffers",
		    link->device.name, info->driver, info->mac[0], info->mac[1], info->mac[2],
		    info->mac[3], info->mac[4], info->mac[5], info->mtu, link->queues,
		    link->queues == 1 ? "" : "s", link->rxd, link->txd, link->size.mbufs);
}

int link_open(const struct link_config *config, struct link **result, struct link_info *info,
	      char *why, size_t why_size)
{
	struct link *link = calloc(1, sizeof(*link));
	int error;

	why[0] = '\0';
	if (!link)
		return -ENOMEM;
	link->config = *config;
	link->stack = *config->stack;
	error = open_link(link, why, why_size);
	if (error == 0)
		report(link);
	journal_print(config);
	if (error) {
		if (!why[0])
			snprintf(why, why_size, "%s", strerrordesc_np(-error));
		free(link);
		return error;
	}
	/* The strings were the caller's. */
	link->config.stack = &link->stack;
	link->stack.device = link->stack.eal = link->stack.module_directory = NULL;
	*info = link->info;
	*result = link;
	return 0;
}

void link_close(struct link *link)
{
	wait_close(link);
	close_sockets(link);
	while (link->queued)
		rte_pktmbuf_free(link->queue[--link->queued]);
	owner_run(link->owner, close_work, link);
	eal_stop();
	xdp_release(&link->xdp);
	journal_print(&link->config);
	free(link);
}

void link_abandon(struct link *link)
{
	wait_close(link);
	if (link->large)
		large_close(link->large);
	if (link->packet)
		packet_abandon(link->packet);
	xdp_release(&link->xdp);
	eal_abandon();
	free(link);
}

void link_counters(struct link *link, struct link_counters *counters)
{
	struct rte_eth_stats stats;

	*counters = link->counters;
	/* What the device itself had no room for. */
	if (link->packet)
		counters->rx_drops += packet_drops(link->packet);
	else if (rte_eth_stats_get(link->port, &stats) == 0)
		counters->rx_drops += stats.imissed + stats.rx_nombuf;
}
