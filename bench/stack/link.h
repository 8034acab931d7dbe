/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory link's own two names: link.c. All else about it is dpdk/link.h.
 */
#ifndef MELIN_BENCH_LINK_H
#define MELIN_BENCH_LINK_H

struct ring;

extern struct ring bench_ring;
void bench_set_peer(struct ring *ring);

#endif
