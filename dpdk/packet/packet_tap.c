/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device of an instance that borrows connections: a packet socket, the tap, which somebody else
 * has opened and filtered. What comes by it is received, whatever the interface; what is sent names
 * its own. Nothing is claimed or changed at any interface, nothing else is sent or answered. It is
 * no port of DPDK's, but has its pool, as packet.c.
 *
 * Many processes have one each, so it is small: buffers are made when they are needed, and EAL has
 * no hugepages.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/system_call.h"
#include "dpdk/frames/gso.h"
#include "dpdk/frames/pool.h"
#include "dpdk/device_link.h"
#include "dpdk/packet/packet_receive.h"
#include "dpdk/packet/packet_ring.h"
#include "dpdk/packet/path_watch.h"
#include "dpdk/eal/wait_descriptor.h"
#include "dpdk/frames/frame_transmit.h"

/* Received frames that may lie unread without a copy; as a large segment takes 33, about 16. */
#define HOLD 512

/* Claims nothing, but chooses the sizes. */
static int claim(struct device_link *link, struct reason *reason)
{
	(void)reason;
	packet_choose_sizes(link);
	if (!link->stack.mbufs)
		link->stack.mbufs = packet_pool_need(link->rxd).rxd + TRANSMIT_QUEUE_MAX + HOLD;
	link->info.mtu = PACKET_MTU_MAX; /* each connection has its path's */
	link->info.kernel_peer = true;
	link->info.driver = "packet socket";
	return 0;
}

static struct pool_need pool_need(const struct device_link *link)
{
	struct pool_need need = packet_pool_need(link->rxd);

	need.grows = true;
	return need;
}

static size_t memory(const struct device_link *link)
{
	const struct pool_need need = pool_need(link);

	return pool_memory(link, &need);
}

static int open_pool(struct device_link *link, struct reason *reason)
{
	const struct pool_need need = pool_need(link);

	return pool_open(link, &need, POOL_WITHOUT_HARDWARE, reason);
}

static int open_sockets(struct device_link *link, struct reason *reason)
{
	(void)reason;
	if (packet_receive_start(link, link->stack.tap) < 0)
		return -ENOMEM;
	packet_ring_open(link);
	link->gso = gso_open_on(link->stack.tap, link->txd);
	link->paths = path_watch_open(&link->watch);
	return link->gso && link->paths ? 0 : -ENOMEM;
}

static void forget_sending(struct device_link *link)
{
	if (link->gso)
		gso_close(link->gso);
	link->gso = NULL;
	path_watch_close(link->paths);
	link->paths = NULL;
}

static void close_sockets(struct device_link *link)
{
	forget_sending(link);
	packet_ring_close(link);
	packet_receive_stop(link);
}

static void abandon_sockets(struct device_link *link)
{
	forget_sending(link);
	packet_ring_abandon(link);
	packet_receive_abandon(link);
}

static int transmit_by(struct device_link *link, struct pbuf *frame, unsigned interface)
{
	return transmit_take(link, frame, interface);
}

/* There is no way for a frame that names no interface. */
static int transmit(struct device_link *link, struct pbuf *frame)
{
	(void)frame;
	return transmit_give_up(link, NULL, -EMSGSIZE);
}

/*
 * The broker has gone, and the socket of its bell would be readable for ever. renew() brings that
 * of another one.
 */
static void forget_rules(const struct device_link *link)
{
	if (link->info.wait_descriptor >= 0)
		epoll_ctl(link->info.wait_descriptor, EPOLL_CTL_DEL, link->rules, NULL);
}

static enum link_news attend(struct device_link *link)
{
	path_watch_attend(link->paths, &link->config);
	if (link->rules >= 0 && !path_watch_rules(link->rules, &link->config))
		forget_rules(link);
	return LINK_SAME;
}

/*
 * The number of link->rules stands for a socket of another broker's now, unless a renewal before
 * this one has failed half-way.
 */
static int watch_rules(const struct device_link *link)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (link->rules < 0)
		return 0;
	forget_rules(link);
	return epoll_ctl(link->info.wait_descriptor, EPOLL_CTL_ADD, link->rules, &event) < 0
		       ? -errno
		       : 0;
}

/*
 * A broker that is only slow still has the old tap open, so what lies unread in that tap would keep
 * the epoll set readable for ever: the old tap is taken out of the set while it still has the
 * number.
 */
static int renew(struct device_link *link, int tap)
{
	const int number = packet_wait_descriptor(link);
	int error;

	epoll_ctl(link->info.wait_descriptor, EPOLL_CTL_DEL, number, NULL);
	packet_ring_close(link);
	error = (int)kernel_call(SYS_dup3, tap, number, O_CLOEXEC, 0);
	if (error < 0)
		return error;
	packet_ring_open(link);
	error = wait_again(link);
	return error ? error : watch_rules(link);
}

const struct backend backend_tap = {
	.claim = claim,
	.memory = memory,
	.open = open_pool,
	.close = pool_close,
	.open_sockets = open_sockets,
	.close_sockets = close_sockets,
	.abandon_sockets = abandon_sockets,
	.needs_descriptor = wait_may_be_used, /* it has none that handles frames */
	.wait_descriptor = packet_wait_descriptor,
	.receive = packet_ring_receive,
	.transmit = transmit,
	.transmit_by = transmit_by,
	.flush = transmit_gso,
	.drops = packet_drops,
	.renew = renew,
	.attend = attend,
};
