/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing: send(2) as Linux's tcp_sendmsg() with MSG_DONTWAIT. Data goes straight into lwIP's
 * segments, as far as SO_SNDBUF goes. Not for when segments leave: output.c.
 */
#include <errno.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/acknowledge.h"
#include "stack/instance/clock.h"
#include "stack/instance/instance.h"
#include "stack/instance/pressure.h"
#include "stack/socket/socket.h"

/* Autotuning stops here, as Linux's tcp_wmem does. */
#define CREDIT_MAX (4u * 1024 * 1024)
/* Each queued segment is a buffer of a full one's size: so many bytes of credit may be one. */
#define CREDIT_PER_BUFFER 256
#define BUFFERS_MIN	  64
/* With little memory left: Linux's initial buffer at least, a local network's need at most. */
#define CREDIT_LEAST (16u * 1024)
#define CREDIT_HIGH  (64u * 1024)

void send_set_credit(struct stack_socket *socket, uint32_t credit)
{
	socket->send_buffer.credit = LWIP_MIN(credit, CREDIT_MAX);
}

size_t send_queued(const struct stack_socket *socket)
{
	const struct tcp_pcb *pcb = socket->pcb;
	uint32_t queued;

	if (!pcb || socket->state != SOCKET_CONNECTED)
		return 0;
	queued = pcb->snd_lbb - pcb->lastack;
	return queued && (pcb->flags & TF_FIN) ? queued - 1 : queued;
}

/*
 * As Linux's sk_stream_moderate_sndbuf() and __sk_mem_schedule(), and what its tcp_sndbuf_expand()
 * never gives: a peer whose window is closed shall not hold a whole buffer. What has been queued
 * already stays.
 */
static uint32_t credit_under_pressure(const struct stack_socket *socket, enum pressure pressure)
{
	const struct tcp_pcb *pcb = socket->pcb;
	uint32_t useful = 2 * LWIP_MIN(LWIP_MIN(pcb->cwnd, pcb->snd_wnd), CREDIT_MAX);
	uint32_t credit;

	if (pressure == PRESSURE_LIMIT)
		return LWIP_MIN(socket->send_buffer.credit, PRESSURE_GUARANTEED);
	if (pressure == PRESSURE_LOW && socket->options.send_buffer_set)
		return socket->send_buffer.credit;
	if (pressure == PRESSURE_HIGH)
		useful = LWIP_MIN(useful, CREDIT_HIGH);
	credit = LWIP_MAX(useful, CREDIT_LEAST);
	return LWIP_MIN(socket->send_buffer.credit, credit);
}

static uint32_t credit_of(const struct stack_socket *socket)
{
	enum pressure pressure = pressure_now();

	return pressure == PRESSURE_NONE ? socket->send_buffer.credit
					 : credit_under_pressure(socket, pressure);
}

static bool too_many_buffers(const struct stack_socket *socket, uint32_t credit)
{
	const struct tcp_pcb *pcb = socket->pcb;

	if (credit <= PRESSURE_GUARANTEED)
		return pcb->snd_queuelen > credit / pcb->mss + 1;
	return pcb->snd_queuelen > LWIP_MAX(credit / CREDIT_PER_BUFFER, BUFFERS_MIN);
}

/* TCP_NOTSENT_LOWAT: how much may be added to what waits to be sent for the first time. */
static uint32_t unsent_room(const struct stack_socket *socket)
{
	uint32_t most = socket->options.unsent_low_water;
	uint32_t unsent = socket->pcb->snd_lbb - socket->pcb->snd_nxt;

	return unsent < most ? most - unsent : 0;
}

/* Linux's __sk_stream_is_writeable(): a third must be free, and half of TCP_NOTSENT_LOWAT. */
bool send_has_room(const struct stack_socket *socket)
{
	size_t queued = send_queued(socket);
	uint32_t credit;

	if (!queued) /* or there is no connection */
		return true;
	credit = credit_of(socket);
	return queued + queued / 2 <= credit && !too_many_buffers(socket, credit) &&
	       unsent_room(socket) > socket->options.unsent_low_water / 2;
}

static size_t room(const struct stack_socket *socket)
{
	size_t queued = send_queued(socket);
	uint32_t credit = credit_of(socket);

	if (queued >= credit || too_many_buffers(socket, credit))
		return 0;
	return LWIP_MIN(credit - queued, unsent_room(socket));
}

/*
 * How many of up to limit bytes can be read from where the program says; a bad address is noted,
 * and what comes before it is sent in whole pieces.
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
	size_t space = good_bytes(socket, iov, count, room(socket), fault);
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

/* What Linux answers before it looks at buffers; 0: go on. */
static int refusal(struct stack_socket *socket)
{
	int error = socket->error;

	if (socket->state == SOCKET_CONNECTED && !error && !(socket->shutdown & 2))
		return 0;
	if (error) {
		socket->error = 0;
		socket_changed(socket, 0);
		return -error;
	}
	if (socket->state == SOCKET_SYN_SENT || socket->state == SOCKET_SYN_RECEIVED)
		return -EAGAIN;
	return -EPIPE;
}

/* No acknowledgement will wake the program if nothing is queued: timers.c does, in a moment. */
static void wait_for_memory(struct stack_socket *socket)
{
	socket->send_buffer.blocked = true;
	tcp_set_flags(socket->pcb, TF_NAGLEMEMERR);
	melin_index_unpark(socket->pcb);
}

ssize_t send_data(struct stack_socket *socket, const struct iovec *iov, size_t count, int flags)
{
	int status = refusal(socket);
	bool fault = false;
	size_t done;

	if (status)
		return status;
	done = write_all(socket, iov, count, &fault);
	if (!done && fault)
		return -EFAULT;
	if (done && (flags & MSG_OOB))
		urgent_send(socket);
	if (done) {
		socket->output.push = false;
		socket->output.more = flags & MSG_MORE;
	}
	acknowledge_answer(socket);
	tcp_output(socket->pcb);
	if (!done && room(socket))
		wait_for_memory(socket);
	socket->stack->counters.tx_payload += done;
	socket_changed(socket, 0);
	if (done)
		return (ssize_t)done;
	for (size_t i = 0; i < count; i++) {
		if (iov[i].iov_len)
			return -EAGAIN;
	}
	return 0;
}
