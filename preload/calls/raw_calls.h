/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's own form of those calls that libc's functions have in another: masks that come with
 * their size, time-outs that are written back, rt_sigaction(2)'s action. For syscall(2) alone. They
 * return what libc's functions do, with errno.
 */
#ifndef MELIN_RAW_CALLS_H
#define MELIN_RAW_CALLS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/select.h>

long raw_ppoll(struct pollfd *set, nfds_t count, struct timespec *timeout, const sigset_t *mask,
	       size_t size);
/* sized_mask: the address of the mask's address and size, or NULL. */
long raw_pselect6(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
		  struct timespec *timeout, const void *sized_mask);
long raw_epoll_pwait(int descriptor, struct epoll_event *events, int max, int timeout,
		     const sigset_t *mask, size_t size);
long raw_epoll_pwait2(int descriptor, struct epoll_event *events, int max,
		      const struct timespec *timeout, const sigset_t *mask, size_t size);

/* False: of libc's own signals, which the kernel alone knows of. */
bool raw_rt_sigaction(int number, const void *action, void *old, size_t size, long *result);

#endif
