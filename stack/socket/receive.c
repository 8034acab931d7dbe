/* SPDX-License-Identifier: BSD-3-Clause */
/* recv(2), as Linux's tcp_recvmsg() with MSG_DONTWAIT: receive.h. */
#include "stack/socket/receive.h"

#include <errno.h>

#include "lwip/priv/tcp_priv.h"

#include "common/io_vector.h"
#include "stack/tcp/acknowledge.h"
#include "stack/instance_parts.h"
#include "stack/socket/socket.h"

/* So many bytes have been read: the peer is offered their room anew, in pieces that lwIP takes. */
static void return_credit(struct stack_socket *socket, size_t size)
{
	struct tcp_pcb *pcb = socket->pcb;

	if (!pcb || socket->fin_received)
		return;
	receive_window_grow(socket, size);
	size = receive_window_clamp(socket, size);
	while (size) {
		u16_t part = (u16_t)LWIP_MIN(size, 0xffff);

		tcp_recved(pcb, part);
		size -= part;
	}
	acknowledge_read(socket);
}

/* What recv(2) returns when the queue is empty; -EAGAIN: Linux would wait. rest: for more. */
static ssize_t nothing(struct stack_socket *socket, bool rest)
{
	int error = socket->error;

	if (socket->state == SOCKET_LISTENING)
		return -ENOTCONN;
	if (socket->fin_received || (error && rest))
		return 0;
	if (error) {
		socket->error = 0;
		socket_changed(socket, 0);
		return -error;
	}
	if (socket->shutdown & SHUT_RECEIVE)
		return 0;
	return socket->state == SOCKET_CLOSED ? -ENOTCONN : -EAGAIN;
}

static void was_read(struct stack_socket *socket, size_t size)
{
	socket->stack->counters.rx_payload += size;
	send_pair_read(socket);
	urgent_moved(socket);
	return_credit(socket, size);
	socket_changed(socket, 0);
}

/* Takes the next byte out as if it had been read. */
static void drop_one(struct stack_socket *socket)
{
	was_read(socket, receive_queue_take(&socket->received, NULL, 1, false, 0));
}

void receive_urgent_pointer(struct stack_socket *socket, const struct tcp_pcb *pcb,
			    const struct tcp_hdr *header)
{
	uint64_t place;

	if (!urgent_find(socket, pcb, header, &place))
		return;
	/*
	 * The urgent byte before this one is stepped over now, if the reader stands in front of it.
	 */
	if (urgent_is_next(socket))
		drop_one(socket);
	urgent_await(socket, place);
	socket_changed(socket, 0);
}

/*
 * Whether there is something to read. An urgent byte at the front does not count: a read drops it,
 * and a peek, which drops nothing, has to begin *hidden bytes (0 or 1) further on.
 */
static bool any(struct stack_socket *socket, bool peek, size_t *hidden)
{
	*hidden = 0;
	if (urgent_is_next(socket)) {
		if (peek)
			*hidden = 1;
		else
			drop_one(socket);
	}
	return socket->received.bytes > *hidden;
}

/* Linux's tcp_recvmsg() ends before an urgent byte, so that the program can ask SIOCATMARK. */
static size_t before_mark(const struct stack_socket *socket, size_t size)
{
	size_t distance = urgent_distance(socket);

	return distance ? LWIP_MIN(size, distance) : size;
}

/*
 * How many of size bytes can be copied to the program's memory. If part of that cannot be written,
 * it is as in Linux what comes before it, in whole segments.
 */
static size_t copyable(const struct stack_socket *socket, const struct iovec *iov, size_t size,
		       size_t distance)
{
	size_t (*writable)(void *, size_t) = socket->stack->callbacks.writable;
	size_t done = 0;

	if (!writable)
		return size;
	for (; done < size; iov++) {
		size_t part = LWIP_MIN(iov->iov_len, size - done);
		size_t good = writable(iov->iov_base, part);

		done += good;
		if (good < part)
			return receive_queue_whole_buffers(&socket->received, distance, done);
	}
	return size;
}

static ssize_t receive_urgent(struct stack_socket *socket, const struct iovec *iov, size_t count,
			      int flags)
{
	ssize_t status = urgent_receive(socket, iov, count, flags);

	socket_changed(socket, 0);
	return status;
}

ssize_t receive_data(struct stack_socket *socket, const struct iovec *iov, size_t count, int flags)
{
	struct receive_queue *queue = &socket->received;
	bool peek = flags & MSG_PEEK;
	size_t size = io_vector_size(iov, count);
	size_t hidden = 0;

	if (flags & MSG_OOB)
		return receive_urgent(socket, iov, count, flags);
	if (flags & STACK_SPLICE && queue->bytes && urgent_distance(socket) == 0)
		return -ENODATA;
	if (size ? !any(socket, peek, &hidden) : !queue->bytes)
		return nothing(socket, flags & STACK_REST);
	size = before_mark(socket, LWIP_MIN(size, queue->bytes - hidden));
	if (size && !(flags & MSG_TRUNC)) {
		size = copyable(socket, iov, size, hidden);
		if (!size)
			return -EFAULT;
	}
	size = receive_queue_take(queue, flags & MSG_TRUNC ? NULL : iov, size, peek, hidden);
	if (!peek)
		was_read(socket, size);
	return (ssize_t)size;
}

/* The stamps are 32 bits of microseconds: data unread for more than 71 minutes seems younger. */
int receive_time(const struct stack_socket *socket, struct timespec *time)
{
	uint64_t age = (uint32_t)(receive_queue_clock() - socket->received.came_us) * 1000ull;
	uint64_t now;

	if (!socket->options.times)
		return -ENODATA;
	clock_gettime(CLOCK_REALTIME, time);
	now = (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec - age;
	time->tv_sec = (time_t)(now / 1000000000);
	time->tv_nsec = (long)(now % 1000000000);
	return 0;
}
