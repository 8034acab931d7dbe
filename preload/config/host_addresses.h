/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel knows of an address: whether it is one of this host's. Not for the stack's own
 * addresses (config.h) nor for whether a rule selects a flow (rules.h).
 */
#ifndef MELIN_HOST_H
#define MELIN_HOST_H

#include <stdbool.h>

#include "preload/config/address.h"

/*
 * Whether the kernel delivers what is sent to the address on this host: one of an interface's
 * addresses, loopback, a broadcast address or an anycast address of this host. Asked of the kernel
 * at each call, except that the same "no" is good for a tenth of a second; false if the kernel does
 * not answer (a process without netlink sockets). May be called from any thread; no lock is taken,
 * and errno is not changed. See rtnetlink(7), RTM_GETROUTE.
 */
bool host_has(const struct ip_address *address);

#endif
