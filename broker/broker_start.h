/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starts melin-broker while the program has the rights that it is about to give up. Not for talking
 * to it (lender.h), nor for the broker that is a service of the host, which nobody here starts.
 *
 * The broker is no child of the program's: wait(2) never tells of it, no SIGCHLD comes, and it has
 * none of the program's memory, descriptors, environment, session or terminal. What it keeps are
 * the user, the namespaces, the root directory and the control group, so that what ends or
 * limits a service or a container goes for its broker too.
 */
#ifndef MELIN_BROKER_START_H
#define MELIN_BROKER_START_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/system_call.h"

/*
 * Starts the program at that path and returns the door, one end of a pair of sockets
 * (close-on-exec, with a number among melin's own): whoever has it may ask for a lender of its own
 * (lender_connect()), be it this process or a child that was forked later, whatever user that has
 * become. The broker ends when no process has the door any more and its last client has gone.
 *
 * A negative errno value: there is none; -ENOENT, -EACCES: that of execve(2). Returns when the
 * broker's program has begun, not when it is ready: that is the first client's to wait for.
 * Any thread; holds all its signals meanwhile. errno is as before, no call is a cancellation point.
 *
 * Where the program is the first process of its PID namespace the kernel makes the broker its
 * child, like every process without a parent; else nobody's but init's.
 */
int broker_start(const char *path);

/*
 * As broker_start(), but the program becomes a witness (witness.h). Returns this process's end of
 * the channel to it.
 */
int broker_start_witness(const char *path);

/*
 * Whether that descriptor, which somebody else has made, is of the kind that channels and doors
 * are. errno is as before.
 */
static inline bool broker_is_channel(int descriptor)
{
	return kernel_get_int(descriptor, SOL_SOCKET, SO_DOMAIN) == AF_UNIX &&
	       kernel_get_int(descriptor, SOL_SOCKET, SO_TYPE) == SOCK_SEQPACKET;
}

#endif
