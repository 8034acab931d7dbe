/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps net_memif's own thread out of its rings while a burst is under way: when the other end
 * goes, DPDK's interrupt thread unmaps the memory that they lie in, whoever is in the middle of
 * them.
 */
#ifndef MELIN_MEMIF_GUARD_H
#define MELIN_MEMIF_GUARD_H

/* What net_memif tells DPDK to call runs under the guard from now on. Before it is probed. */
void memif_guard_prepare(const char *library);

/* Called around each burst of frames: net_memif's own thread stays out of the rings meanwhile. */
void memif_guard_enter(void);
void memif_guard_leave(void);

#endif
