/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What recvmsg(2) tells beside the data of a connection: when the data came (SO_TIMESTAMP and the
 * like, socket(7)), and how much more there is to read (TCP_INQ). Not for descriptors, which only
 * Unix sockets carry, nor for the data (transfer.c).
 */
#ifndef MELIN_ANCILLARY_H
#define MELIN_ANCILLARY_H

#include <linux/net_tstamp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct socket;

/* The flags of SO_TIMESTAMPING that ask when a segment leaves, which the queue of errors tells. */
#define ANCILLARY_SEND_TIMES                                                                       \
	(SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_SCHED | \
	 SOF_TIMESTAMPING_TX_ACK)

/* One of these options has been set on the twin: reads from the twin which of them are on now. */
void ancillary_adopt(struct socket *socket, int twin);

/* Whether that option of SOL_SOCKET asks for the times of what is received. */
bool ancillary_is_of_times(int name);

/* Whether the stack has to note at what time data comes. */
bool ancillary_needs_times(const struct socket *socket);

/* How many bytes one recv() could return: those before urgent data. As Linux's tcp_inq(). */
size_t ancillary_readable(const struct socket *socket);

/*
 * Fills in msg_control, msg_controllen and MSG_CTRUNC after data, or the end of it, was received.
 * The message is the caller's copy. Its buffer for control messages is the program's; the caller
 * has made sure that it can be written to.
 */
void ancillary_put(struct socket *socket, struct msghdr *message);

/*
 * Checks the control messages of a sendmsg(2). 0; -EFAULT; another -errno where Linux's
 * sock_cmsg_send() finds fault with them; -EOPNOTSUPP for one that asks when this message is sent
 * (SO_TIMESTAMPING), since the queue of errors would have to tell it. Priority, mark and SO_TXTIME
 * mean nothing to the stack.
 */
int ancillary_check(const struct msghdr *message);

#endif
