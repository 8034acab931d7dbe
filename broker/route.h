/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path of a kernel's connection: which interface its packets leave by, between which MAC
 * addresses, how long they may be. Asks what the kernel's own socket would be told, by
 * rtnetlink(7); no rights are needed, and nothing is changed or sent. Not for whether its frames
 * can be seen.
 */
#ifndef MELIN_ROUTE_H
#define MELIN_ROUTE_H

#include "broker/lender.h"
#include "common/netlink_call.h"

/*
 * Finds the path of an established connection, and its tuple at that interface. netlink is a
 * NETLINK_ROUTE socket in the connection's network namespace, which nobody else uses meanwhile.
 * REFUSAL_STATE, _LOCAL, _ROUTE, _INTERFACE, _UNRESOLVED or _FAILED: neither is changed.
 */
enum refusal route_find(struct netlink *netlink, int descriptor, struct connection_path *path,
			struct loan_tuple *tuple);

#endif
