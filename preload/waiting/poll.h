/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * poll(2), ppoll(2), select(2) and pselect(2) on sets in which at least one descriptor is the
 * stack's. Where a function returns false none is, and the call is left to libc. Not for epoll
 * (epoll.h).
 */
#ifndef MELIN_POLL_H
#define MELIN_POLL_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/select.h>

/* Whether melin knows any of the descriptors. False as well for a set that the kernel refuses. */
bool poll_concerns(const struct pollfd *set, nfds_t count);

/*
 * For a set of which poll_concerns() is true. *result: how many entries have revents, or -errno.
 * deadline is struct wait's. mask is a copy that melin has made, or NULL; handlers run under it
 * when the call ends.
 */
bool poll_mixed(struct pollfd *set, nfds_t count, uint64_t deadline, const sigset_t *mask,
		int *result);

/* The same for sets of bits, which may be NULL. *result: how many bits are set, or -errno. */
bool select_mixed(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		  uint64_t deadline, const sigset_t *mask, int *result);

#endif
