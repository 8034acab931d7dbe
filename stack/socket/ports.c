/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Local ports: ports.h. Not for reserving them in the kernel: that is preload's, with the twin.
 */
#include "stack/socket/ports.h"

#include <errno.h>
#include <stdbool.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/index.h"
#include "stack/ip/sockaddr.h"
#include "stack/instance/random.h"
#include "stack/socket/socket.h"

/* Linux's ip_local_port_range */
#define FIRST 32768u
#define LAST  60999u
#define COUNT (LAST - FIRST + 1)
_Static_assert(COUNT % 2 == 0, "each port has a neighbour of the other parity");

/*
 * Whether a connection with these ends is there. One in TIME_WAIT gives way if need be, after a
 * second, as with Linux's tcp_tw_reuse: the new one's sequence numbers are above the old one's.
 */
static bool is_taken(const ip_addr_t *local, uint16_t port, const ip_addr_t *remote,
		     uint16_t remote_port, bool take_timewait)
{
	struct tcp_pcb *pcb = melin_index_find(local, port, remote, remote_port);

	if (!pcb)
		return false;
	if (!take_timewait || pcb->state != TIME_WAIT ||
	    (u32_t)(tcp_ticks - pcb->tmr) < 1000 / TCP_SLOW_INTERVAL)
		return true;
	tcp_abort(pcb); /* sends nothing in this state */
	return false;
}

/*
 * Chooses among every second port, those at offset 0 or 1: Linux gives connect() those of FIRST's
 * parity first and bind() the others. A program that asks bind() for a free port would else get one
 * from the kernel that a connection in here has, and be refused the second time.
 */
static uint16_t choose(const ip_addr_t *local, const ip_addr_t *remote, uint16_t remote_port,
		       unsigned offset, bool take_timewait)
{
	/* A random start for each connection (RFC 6056): the next port cannot be guessed. */
	unsigned start = melin_random() % COUNT & ~1u;

	for (unsigned i = 0; i < COUNT; i += 2) {
		uint16_t port = (uint16_t)(FIRST + (start + i) % COUNT + offset);

		/*
		 * TCP could tell a connection from a listener on its port; people who look at ports
		 * could not.
		 */
		if (!is_taken(local, port, remote, remote_port, take_timewait) &&
		    !melin_index_find_listener(local, port, remote, remote_port))
			return port;
	}
	return 0;
}

uint16_t ports_choose(const ip_addr_t *local, const ip_addr_t *remote, uint16_t remote_port)
{
	uint16_t port = 0;

	for (unsigned i = 0; i < 4 && !port; i++)
		port = choose(local, remote, remote_port, i & 1, i >= 2);
	return port;
}

static bool overlap(const ip_addr_t *one, const ip_addr_t *other)
{
	if (IP_IS_ANY_TYPE_VAL(*one) || IP_IS_ANY_TYPE_VAL(*other))
		return true;
	if (IP_GET_TYPE(one) != IP_GET_TYPE(other))
		return false;
	return ip_addr_isany(one) || ip_addr_isany(other) || ip_addr_cmp(one, other);
}

int ports_may_listen(const struct stack_socket *socket, const ip_addr_t *local, uint16_t port)
{
	const struct tcp_pcb_listen *each;

	for (each = tcp_listen_pcbs.listen_pcbs; each; each = each->next) {
		const struct stack_socket *other = each->ext_args[EXTRA_SOCKET].data;

		if (each->local_port != port || !overlap(&each->local_ip, local) || other == socket)
			continue;
		if (other && socket->options.reuse_port && other->options.reuse_port)
			continue;
		return -EADDRINUSE;
	}
	return 0;
}

uint16_t ports_choose_listener(const struct stack_socket *socket, const ip_addr_t *local)
{
	unsigned start = melin_random() % COUNT;

	for (unsigned i = 0; i < COUNT; i++) {
		uint16_t port = (uint16_t)(FIRST + (start + i) % COUNT);

		if (ports_may_listen(socket, local, port) == 0)
			return port;
	}
	return 0;
}

struct holder {
	ip_addr_t address;
	u16_t port;
	bool found;
};

static void look_for_holder(struct tcp_pcb *pcb, void *context)
{
	struct holder *holder = context;

	if (pcb->local_port == holder->port &&
	    (ip_addr_isany(&holder->address) || ip_addr_cmp(&pcb->local_ip, &holder->address)))
		holder->found = true;
}

bool ports_in_use(const struct sockaddr *local)
{
	struct holder holder = { .found = false };

	if (sockaddr_read(local, &holder.address, &holder.port))
		return false;
	melin_index_for_each(look_for_holder, &holder);
	return holder.found;
}
