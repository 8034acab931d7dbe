/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path of a kernel's connection: which interface its packets leave by, between which MAC
 * addresses, how long they may be. Asks what the kernel's own socket would be told, by
 * rtnetlink(7); no rights are needed, and nothing is changed or sent. Not for whether its frames
 * can be seen.
 */
#ifndef MELIN_ROUTE_H
#define MELIN_ROUTE_H

#include <sys/socket.h>

#include "broker/lender.h"
#include "common/netlink_call.h"

/* As many next hops are kept; one more takes the place of the oldest. */
#define ROUTES_NEIGHBOURS 16
#define ROUTES_MAC	  6

/* What is known of an interface; interface: its number, 0 if nothing is known. */
struct routes_interface {
	uint32_t interface, mtu;
	uint8_t mac[ROUTES_MAC];
};

struct routes_neighbour {
	uint32_t interface;
	uint8_t family;
	uint8_t hop[16], mac[ROUTES_MAC];
};

/*
 * Sockets by which a network namespace is asked, and what its answers were, as far as the kernel
 * would tell of changes: a server with a thousand connections has one interface, and one router or
 * a few neighbours. The two questions take 8 us. Routes are asked for each time, since rules may
 * choose them by port.
 */
struct routes {
	struct netlink netlink;
	int news; /* of links and neighbours; a negative number: they are not to be had */
	struct routes_interface interface;
	struct routes_neighbour neighbours[ROUTES_NEIGHBOURS];
	unsigned next;
};

/* In the calling thread's network namespace; routes is zeroed. 0 or a negative errno value. */
int routes_open(struct routes *routes);
void routes_close(struct routes *routes);

/*
 * Finds the path of an established connection of the same namespace, and its tuple at that
 * interface. Nobody else uses routes meanwhile. REFUSAL_STATE, _LOCAL, _ROUTE, _INTERFACE,
 * _UNRESOLVED or _FAILED: neither is changed.
 */
enum refusal route_find(struct routes *routes, int descriptor, struct connection_path *path,
			struct loan_tuple *tuple);

/*
 * Fills in what the frames of a connection between these two have, all but the interface. Returns
 * the scope of link-local addresses, or 0.
 */
uint32_t route_tuple(const struct sockaddr_storage *local, const struct sockaddr_storage *remote,
		     struct loan_tuple *tuple);

#endif
