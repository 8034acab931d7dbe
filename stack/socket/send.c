/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing: send(2) as Linux's tcp_sendmsg() with MSG_DONTWAIT. Data goes straight into lwIP's
 * segments, as far as SO_SNDBUF goes. Not for when segments leave: output.c.
 */
#include <errno.h>

#include "lwip/priv/tcp_priv.h"

#include "common/io_vector.h"
#include "stack/tcp/acknowledge.h"
#include "stack/instance_parts.h"
#include "stack/socket/socket.h"

/*
 * How many of the first limit bytes can be read from the program's memory. If part of it cannot,
 * *fault is set, and what comes before it counts in whole pieces, as in Linux.
 */
static size_t good_bytes(const struct stack_socket *socket, const struct iovec *iov, size_t count,
			 size_t limit, bool *fault)
{
	size_t (*readable)(const void *, size_t) = socket->stack->callbacks.readable;
	size_t done = 0;

	if (!readable)
		return limit;
	for (size_t i = 0; i < count && done < limit; i++) {
		size_t part = LWIP_MIN(iov[i].iov_len, limit - done);
		size_t good = readable(iov[i].iov_base, part);

		done += good;
		if (good < part) {
			*fault = true;
			return done - done % STACK_FAULT_PIECE;
		}
	}
	return limit;
}

static size_t write_all(struct stack_socket *socket, const struct iovec *iov, size_t count,
			bool *fault)
{
	size_t space = good_bytes(socket, iov, count, send_buffer_room(socket), fault);
	size_t done = 0;

	for (size_t i = 0; i < count; i++) {
		const uint8_t *data = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		while (left) {
			u16_t part = (u16_t)LWIP_MIN(LWIP_MIN(left, space), 0xffff);
			bool last = part == left && i + 1 == count;

			if (!part)
				return done;
			socket->pcb->snd_buf = (tcpwnd_size_t)space;
			if (output_write(socket, data, part,
					 TCP_WRITE_FLAG_COPY | (last ? 0 : TCP_WRITE_FLAG_MORE)))
				return done;
			data += part;
			left -= part;
			space -= part;
			done += part;
		}
	}
	return done;
}

/* What send(2) returns before it looks at the buffer; 0: nothing is in the way. rest: of more. */
static int refusal(struct stack_socket *socket, bool rest)
{
	int error = socket->error;

	if (socket->state == SOCKET_CONNECTED && !error && !(socket->shutdown & SHUT_SEND))
		return 0;
	if (error && rest)
		return -EPIPE;
	if (error) {
		socket->error = 0;
		socket_changed(socket, 0);
		return -error;
	}
	if (socket->state == SOCKET_SYN_SENT || socket->state == SOCKET_SYN_RECEIVED)
		return -EAGAIN;
	return -EPIPE;
}

/*
 * There was no memory for a segment. If nothing is queued, no acknowledgement will come that would
 * make the socket writable; so timers.c does it at its next tick.
 */
static void wait_for_memory(struct stack_socket *socket)
{
	socket->send_buffer.blocked = true;
	tcp_set_flags(socket->pcb, TF_NAGLEMEMERR);
	melin_index_unpark(socket->pcb);
}

ssize_t send_data(struct stack_socket *socket, const struct iovec *iov, size_t count, int flags)
{
	int status = refusal(socket, flags & STACK_REST);
	bool fault = false;
	size_t done;

	if (status)
		return status;
	if (socket->output.ended && io_vector_size(iov, count))
		output_push(socket, true); /* Linux lets nothing wait for what comes after it */
	done = write_all(socket, iov, count, &fault);
	if (!done && fault)
		return -EFAULT;
	if (done && (flags & MSG_OOB))
		urgent_send(socket);
	if (done) {
		socket->output.push = false;
		socket->output.more =
			flags & MSG_MORE || (!(flags & MSG_OOB) && send_pair_waits(socket, done));
		socket->output.ended = flags & MSG_EOR && done == io_vector_size(iov, count);
	}
	acknowledge_answer(socket);
	tcp_output(socket->pcb);
	if (!done && io_vector_size(iov, count) && send_buffer_room(socket))
		wait_for_memory(socket);
	socket->stack->counters.tx_payload += done;
	socket_changed(socket, 0);
	if (done)
		return (ssize_t)done;
	return io_vector_size(iov, count) ? -EAGAIN : 0;
}
