/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bpf(2) as far as the tap needs it: maps, programs, links to an interface's ingress. libmelin.so
 * needs libc alone, hence no libbpf. Not for what the programs do (tap_program.c).
 *
 * All functions return a descriptor or 0, or a negative errno value; any thread; errno is not
 * touched. Descriptors are close-on-exec, as all of bpf(2)'s are, with numbers of melin's own.
 */
#ifndef MELIN_BPF_CALL_H
#define MELIN_BPF_CALL_H

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

/* A map of the type BPF_MAP_TYPE_*; flags are BPF_F_*. */
int bpf_make_map(enum bpf_map_type type, size_t key, size_t value, uint32_t entries,
		 uint32_t flags);

int bpf_store(int map, const void *key, const void *value);
int bpf_find(int map, const void *key, void *value); /* -ENOENT */
int bpf_delete(int map, const void *key);

/* The key behind *key, or the first one for NULL. -ENOENT: it was the last. */
int bpf_next(int map, const void *key, void *next);

/*
 * One of the programs of tap_instructions.h: the place holder of TAP_PLACE_TUPLES + n is replaced
 * by places[n]: a map's descriptor, or the tap's number for TAP_PLACE_OWNER.
 */
int bpf_load(enum bpf_prog_type type, const uint64_t *code, size_t count, const int *places);

/* In front of all other programs at the interface's tcx ingress, until the link is closed. */
int bpf_link_ingress(int program, uint32_t interface);

/* The interface that a link is at; 0: it has gone, or the link has been detached. */
uint32_t bpf_link_interface(int link);

/*
 * Whether the kernel has tcx (Linux 6.6); BPF_F_TEST_XDP_LIVE_FRAMES (5.18) is there then, too.
 * 0, -EINVAL: no; -EPERM.
 */
int bpf_probe_tcx(int program);

/* Runs an XDP program that passes: the frame comes in at the interface, now, in this thread. */
int bpf_run_frame(int program, uint32_t interface, const void *frame, size_t size);

#endif
