/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's connection tracking (nf_conntrack), which does not see the segments of borrowed
 * connections, and would find those that come afterwards out of its windows: "ct state invalid
 * drop" of a firewall would end the connection. The tracking is told to be liberal with each of
 * them, and not to forget it meanwhile: after five minutes it does, if what it has seen last was
 * not acknowledged yet.
 */
#ifndef MELIN_TRACKING_H
#define MELIN_TRACKING_H

#include "broker/lender.h"
#include "common/netlink_call.h"

struct tracking {
	int count; /* the file that says how many connections are tracked; negative: not open */
	struct netlink netlink; /* its socket is open when there was something to tell */
};

void tracking_open(struct tracking *tracking);
void tracking_close(struct tracking *tracking);

/*
 * Sets IP_CT_TCP_FLAG_BE_LIBERAL for both directions of the connection, for as long as it lives.
 * REFUSAL_NONE, also if it is not tracked; REFUSAL_TRACKED, REFUSAL_DESCRIPTORS. Needs
 * CAP_NET_ADMIN.
 */
enum refusal tracking_tell(struct tracking *tracking, const struct loan_tuple *tuple);

/* Whether there was any tracking to be told of a connection. */
static inline bool tracking_is_used(const struct tracking *tracking)
{
	return tracking->netlink.socket >= 0;
}

/*
 * The connection is borrowed now: the tracking is to know it for the time in which no segment of it
 * comes by. One that cannot be told was refused before. Needs CAP_NET_ADMIN.
 */
void tracking_keep(struct tracking *tracking, const struct loan_tuple *tuple);

#endif
