/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device "packet:NAME": a Linux interface by packet sockets (packet(7)), where the frames that
 * the kernel has not cut, or has put together (TSO, GRO), come and go whole. Opens the sockets and
 * keeps the kernel off what is received; receiving is packet_receive.c's, sending gso.c's. It is no
 * port of DPDK's, but has its pool.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "dpdk/interface/packet_filter.h"
#include "dpdk/device_link.h"
#include "dpdk/packet/packet_receive.h"
#include "dpdk/eal/journal.h"
#include "dpdk/frames/gso.h"
#include "dpdk/port/limits.h"
#include "dpdk/frames/pool.h"
#include "common/own_descriptor.h"
#include "common/system_call.h"
#include "dpdk/eal/wait_descriptor.h"
#include "dpdk/packet/packet.h"
#include "dpdk/frames/frame_transmit.h"
#include "dpdk/xdp/xdp.h"

/*
 * What the socket may hold: as much as all windows of a burst of bulk transfers. Counted are the
 * kernel's buffers, which are larger than the frames in them.
 */
#define SOCKET_BUFFER (16 << 20)

/* ---- the socket ---- */

/* Solicitations come to groups that no other socket has joined. */
static int accept_groups(int socket, int ifindex)
{
	const struct packet_mreq all = { .mr_ifindex = ifindex, .mr_type = PACKET_MR_ALLMULTI };

	return kernel_set_option(socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all));
}

/* The filter is there before the protocol is: nothing but the stack's frames ever comes. */
static int open_socket(const struct device_link *link)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(ETH_P_ALL),
				       .sll_ifindex = link->interface.ifindex };
	struct filter filter;
	struct sock_fprog program = { .filter = filter.code };
	int socket_ = own_descriptor(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	int error;

	if (socket_ < 0)
		return -errno;
	filter_build(&filter, &link->stack, UINT32_MAX, 0);
	program.len = filter.count;
	error = kernel_set_int(socket_, SOL_PACKET, PACKET_VNET_HDR, 1);
	error = error ?: kernel_set_int(socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	if (error == 0)
		error = kernel_set_option(socket_, SOL_SOCKET, SO_ATTACH_FILTER, &program,
					  sizeof(program));
	error = error ?: accept_groups(socket_, link->interface.ifindex);
	error = error ?: (int)kernel_call(SYS_bind, socket_, (long)&address, sizeof(address), 0);
	if (error == 0 && kernel_set_int(socket_, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER) < 0)
		kernel_set_int(socket_, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	if (error == 0)
		return socket_;
	own_descriptor_close(socket_);
	return error;
}

/*
 * The kernel has the stack's frames too. It ignores what is not for its own addresses, unless it is
 * a router.
 */
static void keep_kernel_off(const struct device_link *link)
{
	int error = filter_ingress_add(link->interface.ifindex, &link->stack);

	if (error)
		journal_add(
			LOG_LEVEL_WARN,
			"%s: the kernel sees the stack's frames too, and would send them on if it "
			"is a router: no filter at the ingress (%s)",
			link->interface.name, strerrordesc_np(-error));
}

/* On a program thread, when the pool is there. */
static int open_receiver(struct device_link *link, struct reason *reason)
{
	int socket = open_socket(link);
	int error = socket < 0 ? socket : packet_receive_start(link, socket);

	if (error) {
		own_descriptor_close(socket);
		return reason_set(reason, error, "no packet socket for %s: %s",
				  link->interface.name, strerrordesc_np(-error));
	}
	keep_kernel_off(link);
	return 0;
}

static int open_sockets(struct device_link *link, struct reason *reason)
{
	int error = open_receiver(link, reason);

	if (error)
		return error;
	link->gso = gso_open(link->interface.ifindex, true, link->txd);
	if (link->gso)
		return 0;
	error = errno;
	return reason_set(reason, -error, "no packet socket for large segments on %s: %s",
			  link->interface.name, strerrordesc_np(error));
}

static void close_sockets(struct device_link *link)
{
	int socket = link->packet ? packet_wait_descriptor(link) : -1;

	if (link->gso)
		gso_close(link->gso);
	link->gso = NULL;
	if (socket < 0)
		return;
	filter_ingress_remove(link->interface.ifindex);
	packet_receive_stop(link);
	own_descriptor_close(socket);
}

static void leave(struct device_link *link)
{
	filter_ingress_remove(link->interface.ifindex);
}

/* The parent's filter and buffers stay. */
static void abandon_sockets(struct device_link *link)
{
	if (link->gso)
		gso_close(link->gso);
	if (!link->packet)
		return;
	own_descriptor_close(packet_wait_descriptor(link));
	packet_receive_abandon(link);
}

/* ---- the pool: no port is behind it ---- */

static size_t memory(const struct device_link *link)
{
	const struct pool_need need =
		packet_pool_need(link->stack.rxd ? PACKET_FRAMES_MAX : PACKET_FRAMES);

	return pool_memory(link, &need);
}

/* The interface's MTU is not changed. */
static void choose_mtu(struct device_link *link)
{
	unsigned mtu = link->interface.mtu < PACKET_MTU_MAX ? link->interface.mtu : PACKET_MTU_MAX;

	link->info.mtu = (uint16_t)(link->stack.mtu ? limits_clamp("MELIN_MTU", link->stack.mtu,
								   RTE_ETHER_MIN_MTU, mtu)
						    : mtu);
}

static int choose(struct device_link *link, struct reason *reason)
{
	if (link->stack.vlan)
		return reason_set(
			reason, -ENOTSUP,
			"MELIN_VLAN: packet sockets see no tags; give it the VLAN's own interface");
	if (link->stack.queues)
		limits_clamp("MELIN_QUEUES", link->stack.queues, 1, 1);
	packet_choose_sizes(link);
	choose_mtu(link);
	link->info.kernel_peer = true;
	link->info.driver = "packet sockets";
	memcpy(link->info.mac, link->interface.mac, sizeof(link->info.mac));
	return 0;
}

static int open_pool(struct device_link *link, struct reason *reason)
{
	struct pool_need need;
	int error = choose(link, reason);

	if (error)
		return error;
	need = packet_pool_need(link->rxd);
	return pool_open(link, &need, POOL_WITHOUT_HARDWARE, reason);
}

int packet_claim(struct device_link *link, const char *name, struct reason *reason)
{
	int error = interface_take(&link->interface, name, true, &link->stack, reason);

	if (error)
		return error;
	/* Another's XDP program may stay: it passes what it does not want on to packet sockets. */
	xdp_remove_stale(&link->interface, reason);
	interface_probe(&link->interface, &link->stack);
	return 0;
}

static int claim(struct device_link *link, struct reason *reason)
{
	return packet_claim(link, link->device.name, reason);
}

/* ---- sending: all frames go through gso.c ---- */

static int transmit(struct device_link *link, struct pbuf *frame)
{
	return transmit_take(link, frame, 0);
}

const struct backend backend_packet = {
	.claim = claim,
	.memory = memory,
	.open = open_pool,
	.close = pool_close,
	.open_sockets = open_sockets,
	.close_sockets = close_sockets,
	.abandon_sockets = abandon_sockets,
	.leave = leave,
	.needs_descriptor = wait_may_be_used, /* it has none that handles frames */
	.wait_descriptor = packet_wait_descriptor,
	.receive = packet_receive,
	.transmit = transmit,
	.flush = transmit_gso,
	.drops = packet_drops,
};

int packet_take_over(struct device_link *link, struct reason *reason)
{
	const struct backend *before = link->backend;
	int error = choose(link, reason);

	if (error)
		return error;
	link->backend = &backend_packet;
	error = open_sockets(link, reason);
	if (error == 0)
		return 0;
	close_sockets(link);
	link->backend = before;
	return error;
}
