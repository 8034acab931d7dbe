/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where DPDK has no descriptor table of its own (control_thread.h), what it opens is in the
 * program's, and some of it long after the start: a device of net_memif for each peer that comes.
 * The functions by which DPDK opens and closes are then ones that make it melin's own
 * (common/own_descriptor.h). Not for what DPDK has in its own table.
 */
#ifndef MELIN_DESCRIPTOR_IMPORTS_H
#define MELIN_DESCRIPTOR_IMPORTS_H

/*
 * To be called before DPDK starts, with the driver's library loaded; NULL: only EAL's. What
 * libraries beside DPDK open (libbpf, those of a driver that MELIN_EAL loads) keeps its low number
 * and is not told: which functions they open by is not known.
 */
void descriptor_imports_prepare(const char *driver);

#endif
