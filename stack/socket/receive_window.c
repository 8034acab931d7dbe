/* SPDX-License-Identifier: BSD-3-Clause */
/* The size of the receive window: receive_window.h. */
#include "stack/socket/receive_window.h"

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket/socket.h"

/* Half of SO_RCVBUF's doubled value is for data, as in Linux. */
static uint32_t room_for_data(const struct stack_socket *socket, const struct tcp_pcb *pcb)
{
	uint32_t room =
		socket ? LWIP_MIN(socket->options.receive_buffer / 2, socket->options.window_clamp)
		       : TCP_WND;

	if (socket && socket->window.pressure_most)
		room = LWIP_MIN(room, socket->window.pressure_most);
	if (!(pcb->flags & TF_WND_SCALE) && room > 0xffff)
		room = 0xffff;
	return room < TCP_WND ? room : TCP_WND;
}

uint32_t melin_receive_buffer(const struct tcp_pcb *pcb)
{
	return room_for_data(socket_of(pcb), pcb);
}

/*
 * TCP_WND_MAX() of lwip_changes.h. A window is told in units of its scale, and lwIP rounds it down.
 * A unit of the stack's own is small beside any buffer; of one of the kernel's, which a borrowed
 * connection has, the buffer may be a part, and nothing would ever be told. So there is almost a
 * unit more of it, and what is told is rounded up, as by Linux's __tcp_select_window().
 */
uint32_t melin_receive_window(const struct tcp_pcb *pcb)
{
	uint32_t window = room_for_data(socket_of(pcb), pcb);

	if (pcb->rcv_scale > TCP_RCV_SCALE)
		window += (1u << pcb->rcv_scale) - 1;
	return window < TCP_WND ? window : TCP_WND;
}

/* A window that was announced is never taken back: it only grows here. */
void receive_window_resize(struct stack_socket *socket, uint32_t size)
{
	struct tcp_pcb *pcb = socket->pcb;
	uint32_t before, more;

	if (!pcb || socket->state != SOCKET_CONNECTED || socket->fin_received) {
		socket->options.receive_buffer = size;
		/* Between the SYN and its answer lwIP wants to find its initial value. */
		if (pcb && socket->state == SOCKET_SYN_SENT)
			pcb->rcv_wnd = pcb->rcv_ann_wnd = TCPWND_MIN16(TCP_WND_MAX(pcb));
		return;
	}
	before = TCP_WND_MAX(pcb);
	socket->options.receive_buffer = size;
	more = TCP_WND_MAX(pcb) > before ? TCP_WND_MAX(pcb) - before : 0;
	while (more) {
		u16_t part = (u16_t)LWIP_MIN(more, 0xffff);

		tcp_recved(pcb, part);
		more -= part;
	}
}

/*
 * As Linux's tcp_rcv_space_adjust(), more simply: a program that reads a whole window within some
 * round trips would read more if there were more. One that does not read keeps its peer at 64 KB. A
 * window that is larger than what comes in that time is no faster and only lets the peer overrun
 * the device's ring; the least time is for the pauses of programs and of schedulers where the round
 * trip is nothing.
 */
#define GROW_ROUND_TRIPS 4
#define GROW_LEAST_NS	 (1000ull * 1000)
#define GROWN_BYTES	 (6u * 1024 * 1024) /* Linux's tcp_rmem */

void receive_window_grow(struct stack_socket *socket, size_t size)
{
	uint32_t *buffer = &socket->options.receive_buffer;
	uint64_t now = melin_clock_ns();
	uint64_t time = socket->handshake.round_trip_us * 1000ull * GROW_ROUND_TRIPS;

	if (socket->options.receive_buffer_set || *buffer >= GROWN_BYTES ||
	    pressure_now() >= PRESSURE_HIGH)
		return;
	if (now - socket->window.read_start > LWIP_MAX(time, GROW_LEAST_NS)) {
		socket->window.read_start = now;
		socket->window.read = 0;
	}
	socket->window.read += (uint32_t)size;
	if (socket->window.read < *buffer / 2)
		return;
	receive_window_resize(socket, LWIP_MIN(*buffer * 2, GROWN_BYTES));
	socket->window.read_start = now;
	socket->window.read = 0;
}

/* As small as a window gets under memory pressure. */
#define WINDOW_LEAST (16u * 1024)

void receive_window_start(struct stack_socket *socket)
{
	socket->window.pressure_most = pressure_now() >= PRESSURE_HIGH ? WINDOW_LEAST : 0;
}

/*
 * As Linux's tcp_clamp_window(): what has been announced is not taken back, but what is read makes
 * the window smaller instead of being announced anew. Returns what is to be announced.
 */
size_t receive_window_clamp(struct stack_socket *socket, size_t size)
{
	uint32_t before, after;

	if (pressure_now() < PRESSURE_HIGH && !socket->window.pressure_most)
		return size;
	before = room_for_data(socket, socket->pcb);
	if (pressure_now() < PRESSURE_HIGH) {
		socket->window.pressure_most = 0;
		return size + room_for_data(socket, socket->pcb) - before;
	}
	if (before <= WINDOW_LEAST)
		return size;
	after = before - WINDOW_LEAST > size ? before - (uint32_t)size : WINDOW_LEAST;
	socket->window.pressure_most = after;
	return size - (before - after);
}
