/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening and closing a link (link.h): claims the device, starts DPDK on its own thread, opens the
 * port, and undoes all that in the reverse order. Frames are frame_receive.c's and
 * frame_transmit.c's.
 */
#include "dpdk/device_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/own_descriptor.h"
#include "dpdk/eal/eal.h"
#include "dpdk/interface_watch.h"
#include "dpdk/eal/journal.h"
#include "dpdk/frames/pool.h"
#include "dpdk/eal/wait_descriptor.h"
#include "dpdk/packet/path_watch.h"

struct port_work {
	struct device_link *link;
	int error;
	struct reason *reason;
};

static void open_work(void *argument)
{
	struct port_work *work = argument;

	work->error = work->link->backend->open(work->link, work->reason);
	if (!work->error && eal_is_copied())
		pool_keep(work->link);
	else if (!work->error)
		eal_keep_memory();
}

static void close_work(void *argument)
{
	struct device_link *link = argument;

	link->opened_as->close(link);
}

static int claim_device(struct device_link *link, struct reason *reason)
{
	link->interface.lock = link->interface.probes[0] = link->interface.probes[1] = -1;
	return link->backend->claim ? link->backend->claim(link, reason) : 0;
}

static int name_device(const struct stack_config *config, struct device *device,
		       struct reason *reason)
{
	if (config->device)
		return device_parse(config->device, device, reason);
	device_of_tap(device);
	return 0;
}

int link_check(const struct stack_config *config, struct reason *reason)
{
	struct device device;
	int error = name_device(config, &device, reason);

	if (error || (device.kind != DEVICE_INTERFACE && device.kind != DEVICE_PACKET))
		return error;
	return interface_check(device.name, device.kind == DEVICE_PACKET, config, reason);
}

static int start_dpdk(struct device_link *link, struct reason *reason)
{
	const struct backend *backend = link->backend;
	struct eal_need need = { .device = &link->device,
				 .words = link->config.stack->eal,
				 .memory = backend->memory(link) };
	int error = 0;

	if (backend->check_memory)
		error = backend->check_memory(link, need.memory, reason);
	return error ? error : eal_start(&need, &link->control, reason);
}

static int open_sockets(struct device_link *link, struct reason *reason)
{
	return link->backend->open_sockets ? link->backend->open_sockets(link, reason) : 0;
}

static void close_sockets(struct device_link *link)
{
	if (link->backend->close_sockets)
		link->backend->close_sockets(link);
}

static int share_descriptors(struct device_link *link)
{
	int error = control_share(link->control, link->backend->needs_descriptor);

	return error ? error : wait_open(link);
}

static int open_port(struct device_link *link, struct reason *reason)
{
	struct port_work work = { .link = link, .reason = reason };
	int error;

	control_run(link->control, open_work, &work);
	if (work.error)
		return work.error;
	error = open_sockets(link, reason);
	if (error == 0) {
		error = share_descriptors(link);
		if (error == 0)
			return 0;
		reason_set(reason, error, "cannot get at DPDK's descriptors: %s",
			   strerrordesc_np(-error));
	}
	close_sockets(link);
	control_run(link->control, close_work, link);
	return error;
}

static void close_watch(struct device_link *link)
{
	own_descriptor_close(link->watch);
	own_descriptor_close(link->rules);
	link->watch = link->rules = -1;
}

static int open_link(struct device_link *link, struct reason *reason)
{
	int error = name_device(&link->stack, &link->device, reason);

	if (error)
		return error;
	link->backend = link->opened_as = backend_of(link->device.kind);
	error = claim_device(link, reason);
	if (error)
		return error;
	if (link->device.kind == DEVICE_INTERFACE || link->device.kind == DEVICE_PACKET)
		link->watch = interface_watch_open();
	error = start_dpdk(link, reason);
	if (error == 0) {
		error = interface_probe_end(&link->interface, &link->stack, reason);
		if (error == 0)
			error = open_port(link, reason);
		if (error)
			eal_stop();
	}
	if (error)
		interface_release(&link->interface);
	return error;
}

static void report(struct device_link *link)
{
	const struct link_info *info = &link->info;

	if (link->device.kind == DEVICE_TAP) {
		journal_add(LOG_LEVEL_INFO,
			    "borrowed connections: by a packet socket, %u frames at a time, "
			    "%u buffers",
			    link->rxd, link->size.mbufs);
		return;
	}
	journal_add(LOG_LEVEL_INFO,
		    "device %s: %s, %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, %u queue%s of %u and %u "
		    "descriptors, %u buffers",
		    link->device.name, info->driver, info->mac[0], info->mac[1], info->mac[2],
		    info->mac[3], info->mac[4], info->mac[5], info->mtu, link->queues,
		    link->queues == 1 ? "" : "s", link->rxd, link->txd, link->size.mbufs);
}

/* ---- the operations ---- */

static void close_link(struct link *this)
{
	struct device_link *link = (struct device_link *)this;

	wait_close(link);
	close_watch(link);
	close_sockets(link);
	while (link->queued)
		rte_pktmbuf_free(link->queue[--link->queued]);
	control_run(link->control, close_work, link);
	eal_stop();
	interface_release(&link->interface);
	journal_print(&link->config);
	free(link);
}

static void leave_link(struct link *this)
{
	struct device_link *link = (struct device_link *)this;

	if (link->backend->leave)
		link->backend->leave(link);
}

static void abandon_link(struct link *this)
{
	struct device_link *link = (struct device_link *)this;

	wait_close(link);
	close_watch(link);
	if (link->backend->abandon_sockets)
		link->backend->abandon_sockets(link);
	interface_release(&link->interface);
	if (eal_is_copied())
		pool_abandon(link);
	eal_abandon();
	free(link);
}

static unsigned receive(struct link *this, struct pbuf **frames, unsigned max)
{
	struct device_link *link = (struct device_link *)this;

	if (journal_waiting())
		journal_print(&link->config);
	if (__builtin_expect(link->gone, 0))
		return 0;
	return link->backend->receive(link, frames, max);
}

static int transmit(struct link *this, struct pbuf *frame)
{
	struct device_link *link = (struct device_link *)this;

	/* Frames are lost on a wire too: the connections send them again. */
	if (__builtin_expect(link->gone, 0)) {
		link->counters.tx_drops++;
		return 0;
	}
	return link->backend->transmit(link, frame);
}

static int transmit_by(struct link *this, struct pbuf *frame, unsigned interface)
{
	struct device_link *link = (struct device_link *)this;

	return link->backend->transmit_by(link, frame, interface);
}

static unsigned flush(struct link *this)
{
	struct device_link *link = (struct device_link *)this;

	return __builtin_expect(link->gone, 0) ? 0 : link->backend->flush(link);
}

static void count(struct link *this, struct link_counters *counters)
{
	const struct device_link *link = (const struct device_link *)this;

	*counters = link->counters;
	if (!link->gone)
		counters->rx_drops_device = link->backend->drops(link);
	counters->rx_drops += counters->rx_drops_device;
}

static enum link_news attend(struct link *this, struct link_info *info)
{
	struct device_link *link = (struct device_link *)this;
	const enum link_news news =
		link->backend->attend ? link->backend->attend(link) : interface_watch_attend(link);

	if (journal_waiting())
		journal_print(&link->config);
	if (news != LINK_SAME)
		*info = link->info;
	return news;
}

static int renew(struct link *this, int tap)
{
	struct device_link *link = (struct device_link *)this;

	return link->backend->renew ? link->backend->renew(link, tap) : 0;
}

static bool has_way(struct link *this, const struct sockaddr *local, const struct sockaddr *remote)
{
	(void)this;
	return path_exists(local, remote);
}

static const struct link_operations operations = {
	.close = close_link,
	.leave = leave_link,
	.abandon = abandon_link,
	.receive = receive,
	.transmit = transmit,
	.transmit_by = transmit_by,
	.flush = flush,
	.counters = count,
	.attend = attend,
	.renew = renew,
	.has_way = has_way,
};

const struct backend *backend_of(enum device_kind kind)
{
	static const struct backend *const backends[] = {
		[DEVICE_INTERFACE] = &backend_interface,
		[DEVICE_PACKET] = &backend_packet,
		[DEVICE_PCI] = &backend_bus,
		[DEVICE_VDEV] = &backend_bus,
		[DEVICE_TAP] = &backend_tap,
	};

	return backends[kind];
}

int link_open(const struct link_config *config, struct link **result, struct link_info *info,
	      struct reason *reason)
{
	struct device_link *link = calloc(1, sizeof(*link));
	int error;

	reason->text[0] = '\0';
	if (!link)
		return -ENOMEM;
	link->link.operations = &operations;
	link->watch = -1;
	link->config = *config;
	link->stack = *config->stack;
	link->rules = link->stack.device ? -1 : link->stack.rules;
	error = open_link(link, reason);
	if (error == 0 && link->stack.gives_up_rights)
		eal_give_up_rights();
	if (error == 0)
		report(link);
	journal_print(config);
	if (error) {
		if (!reason->text[0])
			reason_set(reason, error, "%s", strerrordesc_np(-error));
		close_watch(link);
		free(link);
		return error;
	}
	/* The strings of the configuration were the caller's, and end with this call. */
	link->config.stack = &link->stack;
	link->stack.device = link->stack.eal = link->stack.module_directory = NULL;
	*info = link->info;
	*result = &link->link;
	return 0;
}
