/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the host has IPsec policies: then what comes by an interface in the clear may have been
 * decrypted, and what is sent there may have to be encrypted. Not for which connections they are
 * about: that is the kernel's to say.
 */
#ifndef MELIN_IPSEC_H
#define MELIN_IPSEC_H

#include <stdbool.h>

#include "common/netlink_call.h"

/* A NETLINK_XFRM socket, or none where the kernel has no IPsec. Needs CAP_NET_ADMIN. */
bool ipsec_has_policies(struct netlink *netlink);

#endif
