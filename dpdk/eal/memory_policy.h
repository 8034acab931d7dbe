/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * set_mempolicy(2) for libnuma, which DPDK needs. That library tries, while it is being loaded,
 * whether the kernel knows MPOL_PREFERRED_MANY; a service manager's filter without @resources
 * (SystemCallFilter= of systemd.exec(5)) ends the process for it. Not for DPDK's own decisions on
 * NUMA nodes.
 */
#ifndef MELIN_MEMORY_POLICY_H
#define MELIN_MEMORY_POLICY_H

/*
 * From now on the kernel is asked; before, libnuma is told that there is no such call. For devices
 * whose memory DPDK puts on a NUMA node. Before rte_eal_init().
 */
void memory_policy_allow(void);

#endif
