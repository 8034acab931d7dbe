/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What recvmsg(2) says beside the data of a connection: when it came (SO_TIMESTAMP and its kin,
 * socket(7)), and how much more there is (TCP_INQ). Not for descriptors, which only Unix sockets
 * carry, nor for the data (transfer.c).
 */
#ifndef MELIN_ANCILLARY_H
#define MELIN_ANCILLARY_H

#include <linux/net_tstamp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct socket;

/* SO_TIMESTAMPING's times at which a segment leaves: they would come by the queue of errors. */
#define ANCILLARY_SEND_TIMES                                                                       \
	(SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_SCHED | \
	 SOF_TIMESTAMPING_TX_ACK)

/* One of those options was set on the twin: reads there which are on now. */
void ancillary_adopt(struct socket *socket, int twin);

/* Whether the stack has to note when data comes. */
bool ancillary_needs_times(const struct socket *socket);

/* What one recv() could give: bytes up to urgent data. As Linux's tcp_inq(). */
size_t ancillary_readable(const struct socket *socket);

/*
 * Fills in msg_control, msg_controllen and MSG_CTRUNC after data, or the end, was received. The
 * message is the caller's, and its buffer of control messages the program's, good to write.
 */
void ancillary_put(struct socket *socket, struct msghdr *message);

/*
 * The control messages of sendmsg(2): 0, or -errno as Linux's sock_cmsg_send() finds fault with
 * them. -EFAULT; -EOPNOTSUPP for the time at which this message is sent (SO_TIMESTAMPING), which
 * would come by the queue of errors. Priority, mark and SO_TXTIME mean nothing to the stack.
 */
int ancillary_check(const struct msghdr *message);

#endif
