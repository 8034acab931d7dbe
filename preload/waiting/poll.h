/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * poll, ppoll, select and pselect on sets in which at least one descriptor is the stack's.
 * False: none is, and the call is libc's.
 */
#ifndef MELIN_POLL_H
#define MELIN_POLL_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/select.h>

/* Whether melin knows any of the descriptors. False too for a set that libc refuses. */
bool poll_concerns(const struct pollfd *set, nfds_t count);

/*
 * For a set that poll_concerns(). *result: how many entries have revents, or -errno. Handlers run
 * at the end, under the mask. deadline as struct wait's; mask is the caller's copy, or NULL.
 */
bool poll_mixed(struct pollfd *set, nfds_t count, uint64_t deadline, const sigset_t *mask,
		int *result);

/* *result: how many bits are set, or -errno. The sets may be NULL. */
bool select_mixed(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		  uint64_t deadline, const sigset_t *mask, int *result);

#endif
