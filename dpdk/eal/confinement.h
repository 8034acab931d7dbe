/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the surroundings of a process keep from it, whatever its user's rights: a service manager's
 * filter of socket families, a user namespace, file systems that are not mounted. Asked before the
 * start, since DPDK says nothing of the cause, or ends the process. Not for capabilities and limits
 * (interface.c).
 *
 * Each function returns 0, or a negative errno value and the reason: what is missing, why, and
 * what would mend it. Any thread.
 */
#ifndef MELIN_CONFINEMENT_H
#define MELIN_CONFINEMENT_H

#include <stdbool.h>

#include "common/reason.h"

/*
 * The socket families that a Linux interface takes: AF_INET, AF_PACKET, and AF_XDP unless it is
 * used by packet sockets; of AF_NETLINK, by which the kernel's addresses and leftovers are found,
 * only a warning is noted in the journal. -EAFNOSUPPORT; see RestrictAddressFamilies= in
 * systemd.exec(5).
 */
int confinement_check_sockets(const char *interface, bool by_packets, struct reason *reason);

/*
 * For AF_XDP, in a process that has the capabilities: whether they count for bpf(2), which they do
 * not inside of a user namespace, see user_namespaces(7). -EPERM.
 */
int confinement_check_bpf(const char *interface, struct reason *reason);

/* The files below /proc and /sys without which DPDK fails, or ends the process. -ENOENT. */
int confinement_check_files(struct reason *reason);

#endif
