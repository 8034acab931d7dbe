/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Ethernet port: finds or makes the device, asks what it can do, clamps the user's wishes to
 * that, makes the pool and starts the queues. All on the thread that owns DPDK. Not for frames.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>

#include "buffer.h"
#include "eal.h"
#include "frame.h"
#include "journal.h"
#include "large.h"
#include "packet.h"
#include "xdp/melin_xdp.h"

#define RING_DEFAULT 1024 /* where the driver does not say */
#define RING_ESTIMATE                                                                              \
	2048 /* for EAL's memory, before the driver is known: not less than any default */
#define XDP_RING     2048 /* the driver's own default, twice the fill of a busy burst */
#define XDP_RING_MAX 4096
#define MTU_DEFAULT  1500

/* A pbuf counts its bytes in 16 bits, and the Ethernet header is among them. */
#define PACKET_MTU_MAX (UINT16_MAX - FRAME_HEADER_LENGTH)

/*
 * The kernel lets go of an AF_XDP queue in a work item of its own, some time after the process that
 * used it has gone; a busy machine takes its time. One second in all.
 */
#define BUSY_ATTEMPTS 40
#define BUSY_WAIT_US  25000

static unsigned page_size(void)
{
	return (unsigned)sysconf(_SC_PAGESIZE);
}

static bool is_interface(const struct link *link)
{
	return link->device.kind == DEVICE_INTERFACE;
}

static int fail(const char *what, int error, char *why, size_t why_size)
{
	char text[300];

	eal_describe(error, text, sizeof(text));
	snprintf(why, why_size, "%s: %s", what, text);
	return error < 0 ? error : -error;
}

/* ---- the device ---- */

/* Beside melin-stack.so, or one folder up in the build tree (where libtool has .libs). */
static int find_xdp_object(const struct link *link, char *path, size_t size, char *why,
			   size_t why_size)
{
	static const char *const folders[] = { "", "../" };
	size_t i;

	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, size, "%s/%s%s", link->stack.module_directory, folders[i],
			 MELIN_XDP_OBJECT);
		if (access(path, R_OK) == 0 && !strpbrk(path, ",[]"))
			return 0;
	}
	snprintf(why, why_size,
		 "no XDP program %s in %s (or its path has a comma or bracket, which "
		 "DPDK cannot be told)",
		 MELIN_XDP_OBJECT, link->stack.module_directory);
	return -ENOENT;
}

static int device_text(const struct link *link, char *text, size_t size, char *why, size_t why_size)
{
	const struct device *device = &link->device;
	char path[512];
	int error;

	if (!is_interface(link)) {
		snprintf(text, size, "%s%s%s", device->name, device->arguments[0] ? "," : "",
			 device->arguments);
		return 0;
	}
	error = find_xdp_object(link, path, sizeof(path), why, why_size);
	/*
	 * Without hardware, busy polling has nobody to poll: the empty system call that each look
	 * at an empty ring would then be is left out.
	 */
	snprintf(text, size, "net_af_xdp%d,iface=%s,start_queue=0,queue_count=%u,xdp_prog=%s%s",
		 link->xdp.ifindex, device->name, link->queues, path,
		 link->xdp.is_virtual ? ",busy_budget=0" : "");
	return error;
}

static int make_device(struct link *link, char *why, size_t why_size)
{
	char text[1024], what[DEVICE_NAME_MAX + 64];
	struct rte_dev_iterator iterator;
	uint16_t port, found = RTE_MAX_ETHPORTS;
	int error;

	error = device_text(link, text, sizeof(text), why, why_size);
	if (error)
		return error;
	snprintf(what, sizeof(what), "DPDK cannot use device %s", link->device.name);
	if (link->device.kind != DEVICE_PCI) { /* those EAL has probed already */
		error = rte_dev_probe(text);
		if (error == -EFAULT) { /* what it gives when no bus can make sense of the name */
			snprintf(why, why_size, "%s: error 14: no driver of DPDK's has such a name",
				 what);
			return -ENODEV;
		}
		if (error)
			return fail(what, error, why, why_size);
	}
	text[strcspn(text, ",")] = '\0';
	RTE_ETH_FOREACH_MATCHING_DEV(port, text, &iterator)
	{
		if (found == RTE_MAX_ETHPORTS)
			found = port;
	}
	if (found == RTE_MAX_ETHPORTS) {
		snprintf(
			why, why_size,
			"%s: no driver took it; bind it to vfio-pci (dpdk-devbind.py) and see that "
			"DPDK has a driver for it",
			what);
		return -ENODEV;
	}
	link->port = found;
	link->has_port = true;
	link->is_guarded =
		link->device.library && strcmp(link->device.library, DEVICE_MEMIF_LIBRARY) == 0;
	return 0;
}

/* ---- what the user wants and what the device can do ---- */

static unsigned clamped(const char *name, unsigned wanted, unsigned low, unsigned high)
{
	unsigned value = wanted < low ? low : wanted > high ? high : wanted;

	if (value != wanted)
		journal_add(STACK_LOG_WARN, "%s=%u: the device can do %u to %u, using %u", name,
			    wanted, low, high, value);
	return value;
}

static unsigned ring_size(const char *name, unsigned wanted, const struct rte_eth_desc_lim *limit,
			  unsigned standard)
{
	unsigned low = limit->nb_min ? limit->nb_min : 1, align = limit->nb_align;
	unsigned high = limit->nb_max ? limit->nb_max : UINT16_MAX, size;

	if (wanted)
		size = clamped(name, wanted, low, high);
	else
		size = standard < low ? low : standard > high ? high : standard;
	if (align > 1 && size % align)
		size = size < align ? align : size - size % align;
	return size;
}

/* AF_XDP's rings are powers of two. */
static unsigned xdp_ring_size(const char *name, unsigned wanted)
{
	unsigned size = 64;

	if (!wanted)
		return XDP_RING;
	wanted = clamped(name, wanted, size, XDP_RING_MAX);
	while (size < wanted)
		size *= 2;
	if (size != wanted)
		journal_add(STACK_LOG_WARN, "%s=%u: the device needs a power of two, using %u",
			    name, wanted, size);
	return size;
}

static void choose_rings(struct link *link, const struct rte_eth_dev_info *info)
{
	const struct stack_config *config = &link->stack;
	unsigned rx = info->default_rxportconf.ring_size, tx = info->default_txportconf.ring_size;

	if (is_interface(link)) {
		link->rxd = (uint16_t)xdp_ring_size("MELIN_RXD", config->rxd);
		link->txd = link->rxd; /* the driver makes both alike */
		if (config->txd && config->txd != link->txd)
			journal_add(STACK_LOG_WARN,
				    "MELIN_TXD=%u: on an interface it is as MELIN_RXD, using %u",
				    config->txd, link->txd);
		return;
	}
	link->rxd = (uint16_t)ring_size("MELIN_RXD", config->rxd, &info->rx_desc_lim,
					rx ? rx : RING_DEFAULT);
	link->txd = (uint16_t)ring_size("MELIN_TXD", config->txd, &info->tx_desc_lim,
					tx ? tx : RING_DEFAULT);
}

static void choose_queues(struct link *link, const struct rte_eth_dev_info *info)
{
	unsigned high = info->max_rx_queues < info->max_tx_queues ? info->max_rx_queues
								  : info->max_tx_queues;

	link->queues =
		(uint16_t)(link->stack.queues ? clamped("MELIN_QUEUES", link->stack.queues, 1, high)
					      : 1);
}

/* An interface has its queues already: all of them unless the user wants fewer. */
static void choose_xdp_queues(struct link *link)
{
	const struct xdp *xdp = &link->xdp;

	link->queues = (uint16_t)(link->stack.queues ? clamped("MELIN_QUEUES", link->stack.queues,
							       1, xdp->channels)
						     : xdp->channels);
	if (xdp->receive_queues > link->queues)
		journal_add(
			STACK_LOG_WARN,
			"%s has %u receive queues and the stack serves %u: frames of the others "
			"go to the kernel (ethtool -L %s)",
			xdp->name, xdp->receive_queues, link->queues, xdp->name);
}

static unsigned wanted_mtu(const struct link *link)
{
	if (link->stack.mtu)
		return link->stack.mtu;
	return link->xdp.mtu; /* 0 if it is no interface */
}

/* Leaves the MTU in info; the port is told by apply_mtu(). */
static int choose_mtu(struct link *link, const struct rte_eth_dev_info *info)
{
	unsigned wanted = wanted_mtu(link), low = info->min_mtu, high = info->max_mtu;
	uint16_t current = MTU_DEFAULT;
	int error = rte_eth_dev_get_mtu(link->port, &current);

	if (error)
		return error;
	if (is_interface(link) && high > xdp_mtu_max(page_size()))
		high = xdp_mtu_max(page_size());
	if (link->stack.vlan && !is_interface(link) && high < UINT16_MAX)
		high -= RTE_VLAN_HLEN < high ? RTE_VLAN_HLEN : 0;
	if (low == 0)
		low = RTE_ETHER_MIN_MTU;
	link->info.mtu = (uint16_t)clamped(link->stack.mtu ? "MELIN_MTU" : "MTU",
					   wanted ? wanted : current, low, high);
	return 0;
}

/*
 * An interface's MTU is the kernel's too: it is raised if the user says so, but never lowered; the
 * stack's own connections keep to the smaller one.
 */
static int apply_mtu(struct link *link)
{
	uint16_t mtu = link->info.mtu, current;
	int error;

	if (is_interface(link) && mtu <= link->xdp.mtu)
		return 0;
	error = rte_eth_dev_set_mtu(link->port, mtu);
	if (error == 0)
		return 0;
	if (error == -ENOTSUP && rte_eth_dev_get_mtu(link->port, &current) == 0 && mtu <= current)
		return 0;
	if (is_interface(link))
		current = (uint16_t)link->xdp.mtu;
	else if (rte_eth_dev_get_mtu(link->port, &current) < 0)
		return error;
	journal_add(STACK_LOG_WARN, "the device does not take an MTU of %u (%s), using %u", mtu,
		    rte_strerror(-error), current);
	link->info.mtu = current;
	return 0;
}

/* ---- the pool ---- */

static void choose_pool(struct link *link)
{
	bool by_packets = link->device.kind == DEVICE_PACKET;
	const struct pool_need need = { .queues = link->queues,
					.rxd = by_packets ? packet_buffers(link->rxd) : link->rxd,
					.txd = by_packets ? 0
							  : link->txd, /* it sends from lwIP's */
					.connections = link->config.connections,
					/* its frames are chains, whatever the MTU is */
					.mtu = by_packets ? MTU_DEFAULT : link->info.mtu,
					.mbufs = link->stack.mbufs,
					.xdp = is_interface(link) };

	pool_size(&need, &link->size);
}

size_t port_memory(const struct link *link)
{
	struct link guess = *link;
	struct rte_eth_dev_info info = { .max_rx_queues = UINT16_MAX, .max_tx_queues = UINT16_MAX };

	guess.info.mtu = (uint16_t)(wanted_mtu(link) ? wanted_mtu(link) : MTU_DEFAULT);
	if (link->device.kind == DEVICE_PACKET) {
		guess.queues = 1;
		guess.rxd = link->stack.rxd ? PACKET_FRAMES_MAX : PACKET_FRAMES;
	} else if (is_interface(link)) {
		guess.queues =
			(uint16_t)(link->stack.queues && link->stack.queues < link->xdp.channels
					   ? link->stack.queues
					   : link->xdp.channels);
		guess.rxd = guess.txd = link->stack.rxd > XDP_RING ? XDP_RING_MAX : XDP_RING;
	} else {
		choose_queues(&guess, &info);
		guess.rxd = (uint16_t)(link->stack.rxd ? link->stack.rxd : RING_ESTIMATE);
		guess.txd = (uint16_t)(link->stack.txd ? link->stack.txd : RING_ESTIMATE);
	}
	choose_pool(&guess);
	return guess.size.memory;
}

/*
 * As rte_pktmbuf_pool_create_by_ops(), but with flags. Callers are not EAL threads, so there is no
 * cache per lcore; "stack" hands out what came back last, which is still in the processor's cache.
 */
static struct rte_mempool *create_pool(const char *name, const struct pool_size *size, int node,
				       unsigned flags)
{
	struct rte_pktmbuf_pool_private private = {
		.mbuf_data_room_size = (uint16_t)size->data_room,
		.mbuf_priv_size = BUFFER_PRIVATE,
	};
	unsigned element = (unsigned)sizeof(struct rte_mbuf) + BUFFER_PRIVATE + size->data_room;
	struct rte_mempool *pool = rte_mempool_create_empty(name, size->mbufs, element, 0,
							    sizeof(private), node, flags);

	if (!pool)
		return NULL;
	rte_errno = -rte_mempool_set_ops_byname(pool, "stack", NULL);
	if (rte_errno == 0) {
		int populated;

		rte_pktmbuf_pool_init(pool, &private);
		populated = rte_mempool_populate_default(pool);
		if (populated > 0) {
			rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
			return pool;
		}
		rte_errno = -populated;
	}
	rte_mempool_free(pool);
	return NULL;
}

static int make_pool(struct link *link, char *why, size_t why_size)
{
	/*
	 * Where no hardware reads the memory a buffer may cross a page. net_af_xdp needs that: it
	 * tells the kernel as many bytes as the buffers have, and holes at the ends of pages put
	 * the last ones beyond. Nor is there room for spreading buffers over memory channels.
	 */
	unsigned flags = link->device.kind == DEVICE_PCI
				 ? 0
				 : RTE_MEMPOOL_F_NO_IOVA_CONTIG | RTE_MEMPOOL_F_NO_SPREAD;
	char name[RTE_MEMPOOL_NAMESIZE];

	choose_pool(link);
	if (link->size.raised)
		journal_add(STACK_LOG_WARN,
			    "MELIN_MBUFS=%u: the device's rings need more, using %u",
			    link->stack.mbufs, link->size.mbufs);
	snprintf(name, sizeof(name), "melin_%u", link->port);
	link->pool = create_pool(name, &link->size,
				 link->has_port ? rte_eth_dev_socket_id(link->port) : SOCKET_ID_ANY,
				 flags);
	if (!link->pool)
		return fail("no memory for the packet buffers (lower MELIN_MBUFS, or provide "
			    "hugepages)",
			    rte_errno, why, why_size);
	if (is_interface(link) && link->pool->nb_mem_chunks != 1) {
		snprintf(why, why_size,
			 "the packet buffers are not in one piece of memory, which "
			 "AF_XDP needs: provide more hugepages, or none");
		return -ENOMEM;
	}
	receive_prepare_pool(link);
	return 0;
}

/* ---- configuration ---- */

static void choose_offloads(struct link *link, const struct rte_eth_dev_info *info)
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

static int configure(struct link *link, const struct rte_eth_dev_info *info)
{
	const uint64_t spread = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP;
	struct rte_eth_conf conf = { .rxmode = { .mtu = link->info.mtu,
						 .offloads = link->rx_offloads },
				     .txmode = { .offloads = link->tx_offloads } };
	uint16_t rxd = link->rxd, txd = link->txd;
	int error;

	if (link->queues > 1 && info->flow_type_rss_offloads & spread) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & spread;
	}
	error = rte_eth_dev_configure(link->port, link->queues, link->queues, &conf);
	if (error || is_interface(link))
		return error;
	error = rte_eth_dev_adjust_nb_rx_tx_desc(link->port, &rxd, &txd);
	if (error)
		return error;
	if ((link->stack.rxd && rxd != link->rxd) || (link->stack.txd && txd != link->txd))
		journal_add(STACK_LOG_WARN,
			    "the device takes %u receive and %u transmit "
			    "descriptors a queue",
			    rxd, txd);
	link->rxd = rxd;
	link->txd = txd;
	return 0;
}

static int set_up_queues(struct link *link, const struct rte_eth_dev_info *info)
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

/*
 * Neighbour discovery needs the solicited-node groups. A device that cannot take all multicast is
 * made promiscuous; one that can do neither mostly filters nothing.
 */
static void accept_groups(const struct link *link)
{
	unsigned i;

	if (is_interface(link))
		return; /* XDP sees what the interface takes */
	for (i = 0; i < link->stack.address_count; i++) {
		if (link->stack.addresses[i].family == AF_INET6)
			break;
	}
	if (i == link->stack.address_count)
		return;
	if (rte_eth_allmulticast_enable(link->port) < 0 &&
	    rte_eth_promiscuous_enable(link->port) < 0)
		journal_add(STACK_LOG_DEBUG, "the device has neither a multicast nor a promiscuous "
					     "mode");
}

static void warn_without_carrier(const struct link *link)
{
	struct rte_eth_link state;

	/* A card needs seconds for it after its start; the others have none or have it at once. */
	if (link->device.kind == DEVICE_PCI && rte_eth_link_get(link->port, &state) == 0 &&
	    state.link_status == RTE_ETH_LINK_DOWN)
		journal_add(STACK_LOG_WARN, "device %s has no link: is the cable in?",
			    link->device.name);
}

static int start(struct link *link, char *why, size_t why_size)
{
	struct rte_ether_addr mac;
	int error = 0;

	if (is_interface(link))
		error = xdp_configure(&link->xdp, link->owner, &link->stack, why, why_size);
	if (error)
		return error;
	error = rte_eth_dev_start(link->port);
	if (error == 0)
		error = rte_eth_macaddr_get(link->port, &mac);
	if (error)
		return fail("the device does not start", error, why, why_size);
	memcpy(link->info.mac, mac.addr_bytes, sizeof(link->info.mac));
	accept_groups(link);
	warn_without_carrier(link);
	return 0;
}

static int set_up(struct link *link, const struct rte_eth_dev_info *info, char *why,
		  size_t why_size)
{
	int error;

	snprintf(link->driver, sizeof(link->driver), "%s", info->driver_name);
	link->info.driver = link->driver;
	/* A virtio card's other end is the host's kernel; it sends checksums unfinished too. */
	link->info.kernel_peer = link->device.kernel_peer || strstr(link->driver, "virtio");
	if (!is_interface(link))
		choose_queues(link, info);
	choose_rings(link, info);
	choose_offloads(link, info);
	error = choose_mtu(link, info);
	if (error == 0)
		error = configure(link, info);
	if (error == 0)
		error = apply_mtu(link);
	if (error)
		return fail("the device cannot be configured", error, why, why_size);
	error = make_pool(link, why, why_size);
	if (error)
		return error;
	error = set_up_queues(link, info);
	link->queues_refused = error != 0;
	if (error)
		return fail(is_interface(link)
				    ? "the interface's queues cannot be set up (does another "
				      "AF_XDP program use them?)"
				    : "the device's queues cannot be set up",
			    error, why, why_size);
	return start(link, why, why_size);
}

static int open_once(struct link *link, char *why, size_t why_size)
{
	struct rte_eth_dev_info info;
	int error;

	link->queues_refused = false;
	journal_forget();
	error = make_device(link, why, why_size);
	if (error == 0) {
		error = rte_eth_dev_info_get(link->port, &info);
		if (error)
			fail("the device gives no information", error, why, why_size);
	}
	if (error == 0)
		error = set_up(link, &info, why, why_size);
	if (error)
		port_close(link);
	return error;
}

/*
 * Packet sockets have no rings: the numbers are of frames that a system call takes, and of
 * connections (or single frames) that one sends for.
 */
static void choose_packet(struct link *link)
{
	const struct stack_config *config = &link->stack;

	link->queues = 1;
	link->rxd = (uint16_t)(config->rxd ? clamped("MELIN_RXD", config->rxd, 1, PACKET_FRAMES_MAX)
					   : PACKET_FRAMES);
	link->txd = (uint16_t)(config->txd ? clamped("MELIN_TXD", config->txd, 1, LARGE_RUNS_MAX)
					   : PACKET_FRAMES);
}

/* "packet:NAME" is no port of DPDK's, but its pool. The interface's MTU is not changed. */
static int open_packet(struct link *link, char *why, size_t why_size)
{
	const struct xdp *xdp = &link->xdp;
	unsigned mtu = xdp->mtu < PACKET_MTU_MAX ? xdp->mtu : PACKET_MTU_MAX;

	if (link->stack.vlan) {
		snprintf(
			why, why_size,
			"MELIN_VLAN: packet sockets see no tags; give it the VLAN's own interface");
		return -ENOTSUP;
	}
	if (link->stack.queues)
		clamped("MELIN_QUEUES", link->stack.queues, 1, 1);
	choose_packet(link);
	link->info.mtu = (uint16_t)(link->stack.mtu ? clamped("MELIN_MTU", link->stack.mtu,
							      RTE_ETHER_MIN_MTU, mtu)
						    : mtu);
	link->info.kernel_peer = true;
	link->info.driver = "packet sockets";
	memcpy(link->info.mac, xdp->mac, sizeof(link->info.mac));
	return make_pool(link, why, why_size);
}

int port_open(struct link *link, char *why, size_t why_size)
{
	int attempt, error;

	if (link->device.kind == DEVICE_PACKET)
		return open_packet(link, why, why_size);

	if (is_interface(link))
		choose_xdp_queues(link);
	journal_capture_bpf();
	for (attempt = 0; attempt < BUSY_ATTEMPTS; attempt++) {
		error = open_once(link, why, why_size);
		/*
		 * net_af_xdp has one error for everything, so busy cannot be told from the rest,
		 * and its queues cannot be set up a second time: the device is made anew.
		 */
		if (!error || !is_interface(link) || !link->queues_refused)
			break;
		usleep(BUSY_WAIT_US);
	}
	journal_release_bpf();
	return error;
}

void port_close(struct link *link)
{
	struct rte_eth_dev_info info;
	bool has_info;

	if (!link->has_port) {
		rte_mempool_free(link->pool); /* "packet:NAME"'s */
		link->pool = NULL;
		return;
	}
	has_info = rte_eth_dev_info_get(link->port, &info) == 0;
	rte_eth_dev_stop(link->port);
	rte_eth_dev_close(link->port);
	link->has_port = false;
	if (has_info && link->device.kind != DEVICE_PCI)
		rte_dev_remove(info.device);
	if (is_interface(link))
		xdp_close_descriptors(link->owner);
	rte_mempool_free(link->pool);
	link->pool = NULL;
}
