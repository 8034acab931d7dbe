/* SPDX-License-Identifier: BSD-3-Clause */
/* The room in the send buffer: send_buffer.h. */
#include "stack/socket/send_buffer.h"

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket/socket.h"
#include "stack/tcp/timestamps.h"

/* Autotuning stops here, as Linux's tcp_wmem does. */
#define CREDIT_MAX (4u * 1024 * 1024)
/*
 * A small segment takes as much memory as a full one: so one segment is allowed for so many bytes
 * of credit, and this many in any case.
 */
#define CREDIT_PER_BUFFER 256
#define BUFFERS_MIN	  64
/* When memory is short: what Linux begins with at least; what a local network needs at most. */
#define CREDIT_LEAST (16u * 1024)
#define CREDIT_HIGH  (64u * 1024)

void send_buffer_set_credit(struct stack_socket *socket, uint32_t credit)
{
	socket->send_buffer.credit = LWIP_MIN(credit, CREDIT_MAX);
}

size_t send_buffer_unacknowledged(const struct stack_socket *socket)
{
	const struct tcp_pcb *pcb = socket->pcb;

	return pcb && socket->state == SOCKET_CONNECTED ? pcb->snd_lbb - pcb->lastack : 0;
}

size_t send_buffer_queued(const struct stack_socket *socket)
{
	const size_t queued = send_buffer_unacknowledged(socket);

	return queued && (socket->pcb->flags & TF_FIN) ? queued - 1 : queued;
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

/* TCP_NOTSENT_LOWAT: how much more may wait to be sent for the first time. */
static uint32_t below_low_water(const struct stack_socket *socket)
{
	uint32_t most = socket->options.unsent_low_water;
	uint32_t unsent = socket->pcb->snd_lbb - socket->pcb->snd_nxt;

	return unsent < most ? most - unsent : 0;
}

/* So many bytes fit the last segment that has not been sent yet; 0 also if there is none. */
static uint32_t appendable(const struct stack_socket *socket)
{
	const struct tcp_pcb *pcb = socket->pcb;
	const uint32_t full = timestamps_full_segment(pcb);
	const struct tcp_seg *tail = socket->output.unsent_tail;

	if (!pcb->unsent)
		return 0;
	if (!tail)
		tail = pcb->unsent;
	while (tail->next)
		tail = tail->next;
	if (TCP_SEQ_LT(lwip_ntohl(tail->tcphdr->seqno), pcb->snd_nxt) || tail->len >= full)
		return 0;
	return full - tail->len;
}

/*
 * How much may be added at once: as Linux's tcp_sendmsg(), which looks at the mark before it begins
 * a segment, a whole segment, or what the one that has not been sent yet has room for.
 */
static uint32_t unsent_room(const struct stack_socket *socket)
{
	uint32_t below = below_low_water(socket);

	return below ? LWIP_MAX(below, socket->pcb->mss) : appendable(socket);
}

/* Linux's __sk_stream_is_writeable(): a third must be free, and half of TCP_NOTSENT_LOWAT. */
bool send_buffer_has_room(const struct stack_socket *socket)
{
	size_t queued = send_buffer_queued(socket);
	uint32_t credit;

	if (!queued) /* or there is no connection */
		return true;
	credit = credit_of(socket);
	return queued + queued / 2 <= credit && !too_many_buffers(socket, credit) &&
	       below_low_water(socket) > socket->options.unsent_low_water / 2;
}

size_t send_buffer_room(const struct stack_socket *socket)
{
	size_t queued = send_buffer_queued(socket);
	uint32_t credit = credit_of(socket);

	if (queued >= credit || too_many_buffers(socket, credit))
		return 0;
	return LWIP_MIN(credit - queued, unsent_room(socket));
}
