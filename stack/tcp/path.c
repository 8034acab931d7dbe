/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MTU of paths: path.h. A small table by destination, as Linux's next-hop exceptions: a new
 * connection begins with what the last one has learnt. Not for reading ICMP: icmp_error.c.
 */
#include "stack/tcp/path.h"

#include <netinet/in.h>
#include <string.h>

#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/index.h"
#include "stack/instance_parts.h"
#include "stack/socket_parts.h"

#define HEADERS4 40 /* of IPv4 and TCP without options */
#define HEADERS6 60

u16_t melin_fragment_bits;

/* lwip_tcp_out.c */
int melin_lwip_fit(struct tcp_pcb *pcb);

static struct path *set_of(const ip_addr_t *remote)
{
	const u32_t *word = ip_2_ip6(remote)->addr;
	uint64_t hash = melin_random_mix(melin_random_key(), word[0]);

	if (IP_IS_V6(remote)) {
		hash = melin_random_mix(hash ^ word[1], (uint64_t)word[2] << 32 | word[3]);
	}
	return melin_instance->path_table.paths[(hash >> 32) % PATH_SETS];
}

static struct path *find(const ip_addr_t *remote)
{
	struct path *set;

	if (!melin_instance->path_table.known)
		return NULL;
	set = set_of(remote);
	for (unsigned i = 0; i < PATH_WAYS; i++) {
		if (set[i].mtu && ip_addr_cmp(&set[i].remote, remote))
			return &set[i];
	}
	return NULL;
}

/* The MTU of the interface that leads there; 0: none does. */
static uint32_t link_mtu(const ip_addr_t *local, const ip_addr_t *remote)
{
	const struct netif *netif = ip_route(local, remote);

	return netif ? netif->mtu : 0;
}

/* The largest IP packet that gets from here to there, in bytes: the device's MTU or less. */
static uint32_t path_mtu(const ip_addr_t *local, const ip_addr_t *remote)
{
	const struct path *path = find(remote);

	return path ? path->mtu : link_mtu(local, remote);
}

uint32_t path_mtu_of(const struct stack_socket *socket)
{
	const struct path *path;

	if (!socket->is_borrowed)
		return path_mtu(&socket->pcb->local_ip, &socket->pcb->remote_ip);
	path = find(&socket->remote);
	return path ? LWIP_MIN(path->mtu, socket->adopted.path.mtu) : socket->adopted.path.mtu;
}

/* Ten minutes, unless the system says otherwise: RFC 1191 6.3, RFC 8201 section 4. */
static uint64_t known_ns(const ip_addr_t *remote)
{
	const struct sysctl *sysctl = &melin_instance->sysctl;

	return 1000000000ull * (IP_IS_V6(remote) ? sysctl->mtu_expires6 : sysctl->mtu_expires);
}

static void learn(const ip_addr_t *remote, uint16_t mtu, bool may_fragment)
{
	struct path *path = find(remote);
	struct path *set = set_of(remote);

	if (!path) {
		path = &set[0];
		for (unsigned i = 1; i < PATH_WAYS && path->mtu; i++) {
			if (!set[i].mtu || set[i].expires < path->expires)
				path = &set[i];
		}
		melin_instance->path_table.known += path->mtu == 0;
	}
	ip_addr_copy(path->remote, *remote);
	path->mtu = mtu;
	path->may_fragment = may_fragment;
	path->expires = melin_clock_ns() + known_ns(remote);
}

/* ip(7), ipv6(7): with these settings the program ignores what routers say of the path. */
static bool follows(const struct stack_socket *socket)
{
	int discover;

	if (!socket)
		return true;
	if (IP_IS_V6_VAL(socket->remote))
		return socket->options.mtu_discover6 != IPV6_PMTUDISC_INTERFACE &&
		       socket->options.mtu_discover6 != IPV6_PMTUDISC_OMIT;
	discover = socket->options.mtu_discover;
	return discover != IP_PMTUDISC_DONT && discover != IP_PMTUDISC_INTERFACE &&
	       discover != IP_PMTUDISC_OMIT;
}

bool path_may_fragment(const struct stack_socket *socket)
{
	const struct path *path;

	if (socket->options.mtu_discover == IP_PMTUDISC_DO)
		return false;
	if (socket->options.mtu_discover != IP_PMTUDISC_WANT)
		return true;
	path = find(&socket->remote);
	return path && path->may_fragment;
}

/* As much data as a packet of the path's MTU holds. */
static uint16_t segment_for(uint32_t mtu, const ip_addr_t *remote)
{
	uint32_t headers = IP_IS_V6(remote) ? HEADERS6 : HEADERS4;

	if (mtu <= headers)
		return 0xffff;
	return (uint16_t)LWIP_MIN(LWIP_MAX(mtu - headers, SEGMENT_MIN), 0xffff);
}

/* The largest segment that the ends have agreed on and that the path takes. */
static void set_segment(struct stack_socket *socket, struct tcp_pcb *pcb)
{
	uint16_t most = segment_for(path_mtu_of(socket), &pcb->remote_ip);

	pcb->mss = follows(socket) ? LWIP_MIN(socket->path.agreed_segment, most)
				   : socket->path.agreed_segment;
	socket->path.may_fragment = path_may_fragment(socket);
}

void path_begin(struct stack_socket *socket)
{
	socket->path.agreed_segment = socket->pcb->mss;
	set_segment(socket, socket->pcb);
}

void path_too_big(struct stack *stack, struct tcp_pcb *pcb, uint32_t mtu)
{
	struct stack_socket *socket = socket_of(pcb);
	bool may_fragment = false;
	uint16_t most, before = pcb->mss;

	if (!IP_IS_V6_VAL(pcb->remote_ip) && mtu < stack->sysctl.min_pmtu) {
		mtu = stack->sysctl.min_pmtu;
		may_fragment = true;
	}
	if (mtu < path_mtu(&pcb->local_ip, &pcb->remote_ip))
		learn(&pcb->remote_ip, (uint16_t)mtu, may_fragment);
	if (!follows(socket))
		return;
	if (socket)
		socket->path.may_fragment = path_may_fragment(socket);
	most = segment_for(path_mtu(&pcb->local_ip, &pcb->remote_ip), &pcb->remote_ip);
	if (pcb->state < ESTABLISHED)
		return;
	pcb->mss = LWIP_MIN(pcb->mss, most);
	stack->link->operations->flush(stack->link); /* what it still holds cannot be sent again */
	/*
	 * No segment in lwIP's queues may be longer than mss. If they could not be cut, the old
	 * size stays, and the router's next error is another chance.
	 */
	if (!melin_lwip_fit(pcb))
		pcb->mss = before;
}

static void try_larger(struct tcp_pcb *pcb, void *context)
{
	struct stack_socket *socket = socket_of(pcb);
	uint16_t before = pcb->mss;

	(void)context;
	if (!socket || pcb->state < ESTABLISHED || pcb->state == TIME_WAIT)
		return;
	set_segment(socket, pcb);
	/*
	 * A smaller size that another connection has learnt is not taken over: a router's error for
	 * this one will come, and then what is queued is cut, too.
	 */
	pcb->mss = LWIP_MAX(pcb->mss, before);
}

void path_expire(uint64_t now)
{
	struct path_table *table = &melin_instance->path_table;
	bool any = false;

	if (!table->known)
		return;
	for (unsigned i = 0; i < PATH_SETS * PATH_WAYS; i++) {
		struct path *path = &table->paths[i / PATH_WAYS][i % PATH_WAYS];

		if (!path->mtu || path->expires > now)
			continue;
		memset(path, 0, sizeof(*path));
		table->known--;
		any = true;
	}
	if (any)
		melin_index_for_each(try_larger, NULL);
}
