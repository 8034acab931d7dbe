/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process behind a channel: whether it has ended, and with it all that it had open.
 */
#ifndef MELIN_PEER_PROCESS_H
#define MELIN_PEER_PROCESS_H

#include <poll.h>
#include <sys/socket.h>

/* SO_PEERPIDFD of Linux 6.5, in headers of later systems. */
#define PEER_PROCESS_OPTION 77

/* The process that has made the channel, as by pidfd_open(2); -1: it has ended. */
static inline int peer_process_of(int channel)
{
	int process = -1;
	socklen_t length = sizeof(process);

	if (getsockopt(channel, SOL_SOCKET, PEER_PROCESS_OPTION, &process, &length) < 0)
		return -1;
	return process;
}

/* How long a process that was killed may take to close its sockets: 10,000 of them take 20 ms. */
#define PEER_PROCESS_DYING_MS 1000

/*
 * Waits until the process has closed all that it had: the channel may have been closed first. Not
 * for longer than a process takes for that, since one that has closed nothing but its channel lives
 * on.
 */
static inline void peer_process_await_death(int process)
{
	struct pollfd end = { .fd = process, .events = POLLIN };

	if (process >= 0)
		poll(&end, 1, PEER_PROCESS_DYING_MS);
}

#endif
