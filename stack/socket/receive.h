/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recv(2): takes out of the queue (receive_queue.h), and offers the peer what has become free
 * (receive_window.h). Not for acknowledging it: acknowledge.h.
 */
#ifndef MELIN_RECEIVE_H
#define MELIN_RECEIVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

struct pbuf;
struct stack_socket;
struct tcp_hdr;
struct tcp_pcb;

/*
 * stack_operations.receive, but it does not look for input: -EAGAIN is what is known so far, and
 * the call can be made again without harm.
 */
ssize_t receive_data(struct stack_socket *socket, const struct iovec *iov, size_t count, int flags);
/* stack_operations.received_at */
int receive_time(const struct stack_socket *socket, struct timespec *time);
/* A segment with the URG bit has come. Its data is not in the queue yet. */
void receive_urgent_pointer(struct stack_socket *socket, const struct tcp_pcb *pcb,
			    const struct tcp_hdr *header);

#endif
