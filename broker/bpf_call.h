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

/*
 * Stores in *next the key that follows *key in the map, or the map's first one for NULL. -ENOENT:
 * *key was the last.
 */
int bpf_next(int map, const void *key, void *next);

/*
 * Loads one of the programs of tap_instructions.h. In it the place holder TAP_PLACE_TUPLES + n is
 * replaced by places[n]: a map's descriptor, or the tap's number for TAP_PLACE_OWNER.
 */
int bpf_load(enum bpf_prog_type type, const uint64_t *code, size_t count, const int *places);

/*
 * Attaches the program in front of all others at the interface's tcx ingress, until the link that
 * is returned is closed.
 */
int bpf_link_ingress(int program, uint32_t interface);

/* The interface that a link is at. 0: the interface has gone, or the link has been detached. */
uint32_t bpf_link_interface(int link);

/*
 * Asks whether the kernel has tcx (Linux 6.6), and BPF_F_TEST_XDP_LIVE_FRAMES (5.18) with it. 0: it
 * has; -EINVAL: it has not; others say nothing of that. -EPERM: the caller may not ask.
 */
int bpf_probe_tcx(int program);

/*
 * Runs an XDP program that lets the frame pass: the frame comes in at the interface before this
 * returns, in the calling thread.
 */
int bpf_run_frame(int program, uint32_t interface, const void *frame, size_t size);

#endif
