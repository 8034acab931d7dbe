/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP errors about a connection that is borrowed: they find it whatever its addresses are. What
 * becomes of them: test_icmp.c.
 */
#include <netinet/in.h>

#include "tests/unit/stack/tap_instance.h"

/* "No route", or the host's being unreachable, about the packet. */
static void complain(bool v6, const uint8_t *packet)
{
	uint8_t message[8 + 60] = { v6 ? 1 : 3, v6 ? 0 : 1 }, frame[200], router[16];
	const size_t quoted = v6 ? 60 : 28;

	inet_pton(v6 ? AF_INET6 : AF_INET, v6 ? "fd00::1" : "198.18.0.1", router);
	memcpy(message + 8, packet, quoted);
	wire_put(frame, wire_icmp(frame, v6, router, message, 8 + quoted));
	ops->poll(stack);
}

static void set_ends(struct connection_state *state, const char *own, const char *other)
{
	struct sockaddr_in6 name;

	memcpy(&name, address6(own, PORT), sizeof(name));
	name.sin6_scope_id = IN6_IS_ADDR_LINKLOCAL(&name.sin6_addr) ? state->path.interface : 0;
	memcpy(&state->local, &name, sizeof(name));
	memcpy(&name.sin6_addr, &((struct sockaddr_in6 *)address6(other, 0))->sin6_addr, 16);
	name.sin6_port = htons(PEER_PORT);
	memcpy(&state->remote, &name, sizeof(name));
}

static void hears(const char *what, bool v6, const struct connection_state *state)
{
	struct test_socket socket;

	adopt(&socket, state);
	wire_clear();
	put(&socket, "data", 4, 0);
	tap_ok(wire_get_segment(&seen) && seen.v6 == v6 && seen.size == 4, "%s: a segment", what);
	complain(v6, seen.packet);
	tap_ok(option(&socket, SOL_SOCKET, SO_ERROR) == (v6 ? ENETUNREACH : EHOSTUNREACH),
	       "%s: SO_ERROR tells that nobody is reached", what);
	give(&socket);
}

static void tests(void)
{
	struct connection_state state;

	open_tap();
	state = kernels();
	hears("IPv4", false, &state);
	set_ends(&state, WIRE_OWN6, WIRE_PEER6);
	hears("IPv6", true, &state);
	set_ends(&state, "fe80::1", "fe80::2");
	hears("link-local", true, &state);
	tap_ok(complaints == 0, "lwIP never complained");
}

int main(void)
{
	return run_at_each_start(tests);
}
