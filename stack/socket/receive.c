/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading: the queue of received data, and recv(2) as Linux's tcp_recvmsg() with MSG_DONTWAIT.
 * lwIP's data is never refused: the window is what keeps the peer from sending more.
 */
#include <errno.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/acknowledge.h"
#include "stack/instance/clock.h"
#include "stack/instance/instance.h"
#include "stack/instance/pressure.h"
#include "stack/socket/socket.h"

/*
 * Up to this much waits in the buffers that it came in; what is beyond is copied together, so that
 * a program that does not read cannot hold the device's buffers, nor a peer that sends single
 * bytes.
 */
#define KEEP_BYTES   (64u * 1024)
#define KEEP_BUFFERS 64
/* And so many over all sockets: a fraction of any device's pool. */
#define KEEP_ALL    512
#define BLOCK	    16384
#define BLOCK_LEAST 2048

/* Device buffers in all queues; under the instance's lock as all else here. */
static unsigned device_buffers;

static bool is_device_buffer(const struct pbuf *buffer)
{
	return buffer->flags & PBUF_FLAG_IS_CUSTOM;
}

static void append(struct receive_queue *queue, struct pbuf *buffer, uint16_t room)
{
	device_buffers += is_device_buffer(buffer);
	if (queue->tail)
		queue->tail->next = buffer;
	else
		queue->head = buffer;
	queue->tail = buffer;
	queue->tail_room = room;
	queue->buffers++;
	queue->bytes += buffer->len;
}

/* Copies into the block at the tail, and into a new one if that is full. False: no memory. */
static bool append_copy(struct receive_queue *queue, const struct pbuf *data)
{
	const uint8_t *from = data->payload;
	uint16_t left = data->len;
	uint16_t part = LWIP_MIN(left, queue->tail_room);
	struct pbuf *block = NULL;
	uint16_t size = 0;

	if (part < left) {
		/* A connection that has a few bytes to be read shall not take a whole block. */
		size = pressure_now() == PRESSURE_NONE ? BLOCK : LWIP_MAX(left, BLOCK_LEAST);
		block = pbuf_alloc(PBUF_RAW, size, PBUF_RAM);
		if (!block)
			return false;
	}
	if (part) {
		queue->tail->sent_us = data->sent_us;
		memcpy((uint8_t *)queue->tail->payload + queue->tail->len, from, part);
		queue->tail->len += part;
		queue->tail_room -= part;
		queue->bytes += part;
	}
	if (block) {
		left -= part;
		block->sent_us = data->sent_us;
		memcpy(block->payload, from + part, left);
		block->len = left;
		append(queue, block, (uint16_t)(size - left));
	}
	return true;
}

/* What sending uses for the time of sending, receiving uses for that of coming. */
static uint32_t now_us(void)
{
	return (uint32_t)(melin_clock_ns() / 1000);
}

void receive_queue_stamp(struct stack_socket *socket)
{
	for (struct pbuf *buffer = socket->received.head; buffer; buffer = buffer->next)
		buffer->sent_us = now_us();
}

void receive_queue_add(struct stack_socket *socket, struct pbuf *data)
{
	struct receive_queue *queue = &socket->received;
	struct pbuf *next;

	for (; data; data = next) {
		bool compact = queue->bytes > KEEP_BYTES || queue->buffers > KEEP_BUFFERS ||
			       (is_device_buffer(data) && device_buffers >= KEEP_ALL);

		next = data->next;
		data->next = NULL;
		data->tot_len = data->len;
		if (socket->options.times)
			data->sent_us = now_us();
		if (data->len && !(compact && data->len <= BLOCK && append_copy(queue, data))) {
			append(queue, data, 0);
			continue;
		}
		pbuf_free(data);
	}
}

static void drop_head(struct receive_queue *queue)
{
	struct pbuf *head = queue->head;

	device_buffers -= is_device_buffer(head);
	queue->head = head->next;
	queue->offset = 0;
	queue->buffers--;
	if (!queue->head) {
		queue->tail = NULL;
		queue->tail_room = 0;
	}
	head->next = NULL;
	head->tot_len = head->len;
	pbuf_free(head);
}

void receive_queue_clear(struct receive_queue *queue)
{
	while (queue->head)
		drop_head(queue);
	queue->bytes = 0;
}

void receive_queue_copy(const struct receive_queue *queue, uint8_t *to)
{
	uint16_t offset = queue->offset;

	for (const struct pbuf *each = queue->head; each; each = each->next) {
		memcpy(to, (const uint8_t *)each->payload + offset, each->len - offset);
		to += each->len - offset;
		offset = 0;
	}
}

/* Where the unread byte at that distance lies: in the buffer returned, at *offset. */
static const struct pbuf *seek(const struct receive_queue *queue, size_t distance, size_t *offset)
{
	const struct pbuf *buffer = queue->head;

	distance += queue->offset;
	while (buffer && distance >= buffer->len) {
		distance -= buffer->len;
		buffer = buffer->next;
	}
	*offset = distance;
	return buffer;
}

uint8_t receive_queue_byte(const struct receive_queue *queue, size_t distance)
{
	const struct pbuf *buffer = seek(queue, distance, &distance);

	return ((const uint8_t *)buffer->payload)[distance];
}

/*
 * Copies out, or only counts (no iov: MSG_TRUNC), up to size bytes; a peek may begin some further
 * on.
 */
static size_t take(struct receive_queue *queue, const struct iovec *iov, size_t size, bool peek,
		   size_t distance)
{
	size_t offset;
	const struct pbuf *buffer = seek(queue, distance, &offset);
	size_t iov_offset = 0;
	size_t done = 0;

	while (done < size) {
		size_t part = LWIP_MIN(size - done, buffer->len - offset);

		if (iov) {
			while (iov_offset == iov->iov_len) {
				iov++;
				iov_offset = 0;
			}
			part = LWIP_MIN(part, iov->iov_len - iov_offset);
			memcpy((uint8_t *)iov->iov_base + iov_offset,
			       (const uint8_t *)buffer->payload + offset, part);
			iov_offset += part;
		}
		queue->came_us = buffer->sent_us;
		done += part;
		offset += part;
		if (offset < buffer->len)
			continue;
		offset = 0;
		if (peek) {
			buffer = buffer->next;
		} else {
			drop_head(queue);
			buffer = queue->head;
		}
	}
	if (!peek) {
		queue->offset = (uint16_t)offset;
		queue->bytes -= done;
	}
	return done;
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

static void grow(struct stack_socket *socket, size_t size)
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
	options_grow_receive_buffer(socket, LWIP_MIN(*buffer * 2, GROWN_BYTES));
	socket->window.read_start = now;
	socket->window.read = 0;
}

/* As small as a window gets under memory pressure. */
#define WINDOW_LEAST (16u * 1024)

void receive_clamp_window(struct stack_socket *socket)
{
	socket->window.pressure_most = pressure_now() >= PRESSURE_HIGH ? WINDOW_LEAST : 0;
}

/*
 * As Linux's tcp_clamp_window(): what has been announced is not taken back, but what is read makes
 * the window smaller instead of being announced anew. Returns what is to be announced.
 */
static size_t clamp_window(struct stack_socket *socket, size_t size)
{
	uint32_t before, after;

	if (pressure_now() < PRESSURE_HIGH && !socket->window.pressure_most)
		return size;
	before = TCP_WND_MAX(socket->pcb);
	if (pressure_now() < PRESSURE_HIGH) {
		socket->window.pressure_most = 0;
		return size + TCP_WND_MAX(socket->pcb) - before;
	}
	if (before <= WINDOW_LEAST)
		return size;
	after = before - WINDOW_LEAST > size ? before - (uint32_t)size : WINDOW_LEAST;
	socket->window.pressure_most = after;
	return size - (before - after);
}

/* Tells the peer of the room, in the pieces that lwIP takes. */
static void return_credit(struct stack_socket *socket, size_t size)
{
	struct tcp_pcb *pcb = socket->pcb;

	if (!pcb || socket->fin_received)
		return;
	grow(socket, size);
	size = clamp_window(socket, size);
	while (size) {
		u16_t part = (u16_t)LWIP_MIN(size, 0xffff);

		tcp_recved(pcb, part);
		size -= part;
	}
	acknowledge_read(socket);
}

static size_t total(const struct iovec *iov, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size;
}

/* What Linux answers when there is nothing to read; -EAGAIN: it would wait. */
static ssize_t nothing(struct stack_socket *socket)
{
	int error = socket->error;

	if (socket->state == SOCKET_LISTENING)
		return -ENOTCONN;
	if (socket->fin_received)
		return 0;
	if (error) {
		socket->error = 0;
		socket_changed(socket, 0);
		return -error;
	}
	if (socket->shutdown & 1)
		return 0;
	return socket->state == SOCKET_CLOSED ? -ENOTCONN : -EAGAIN;
}

static void was_read(struct stack_socket *socket, size_t size)
{
	socket->stack->counters.rx_payload += size;
	urgent_moved(socket);
	return_credit(socket, size);
	socket_changed(socket, 0);
}

void receive_drop_one(struct stack_socket *socket)
{
	was_read(socket, take(&socket->received, NULL, 1, false, 0));
}

/*
 * Whether there is something to read; an urgent byte at the front is not. It is *hidden from a
 * peek.
 */
static bool any(struct stack_socket *socket, bool peek, size_t *hidden)
{
	*hidden = 0;
	if (urgent_is_next(socket)) {
		if (peek)
			*hidden = 1;
		else
			receive_drop_one(socket);
	}
	return socket->received.bytes > *hidden;
}

/* Linux's tcp_recvmsg() ends before an urgent byte, so that the program can ask SIOCATMARK. */
static size_t before_mark(const struct stack_socket *socket, size_t size)
{
	size_t distance = urgent_distance(socket);

	return distance ? LWIP_MIN(size, distance) : size;
}

/* Of size bytes from that distance on, those in buffers that fit into limit as a whole. */
static size_t whole_buffers(const struct receive_queue *queue, size_t distance, size_t limit)
{
	size_t offset, next, done = 0;

	for (const struct pbuf *buffer = seek(queue, distance, &offset); buffer;
	     buffer = buffer->next, offset = 0) {
		next = done + buffer->len - offset;
		if (next > limit)
			break;
		done = next;
	}
	return done;
}

/* How much of size bytes can be copied out to where the program says; as Linux, by segments. */
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
			return whole_buffers(&socket->received, distance, done);
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
	size_t size = total(iov, count);
	size_t hidden = 0;

	if (flags & MSG_OOB)
		return receive_urgent(socket, iov, count, flags);
	if (size ? !any(socket, peek, &hidden) : !queue->bytes)
		return nothing(socket);
	size = before_mark(socket, LWIP_MIN(size, queue->bytes - hidden));
	if (size && !(flags & MSG_TRUNC)) {
		size = copyable(socket, iov, size, hidden);
		if (!size)
			return -EFAULT;
	}
	size = take(queue, flags & MSG_TRUNC ? NULL : iov, size, peek, hidden);
	if (!peek)
		was_read(socket, size);
	return (ssize_t)size;
}

/* 32 bits of microseconds: data that lies unread for more than 71 minutes seems younger. */
int receive_time(const struct stack_socket *socket, struct timespec *time)
{
	uint64_t age = (uint32_t)(now_us() - socket->received.came_us) * 1000ull;
	uint64_t now;

	if (!socket->options.times)
		return -ENODATA;
	clock_gettime(CLOCK_REALTIME, time);
	now = (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec - age;
	time->tv_sec = (time_t)(now / 1000000000);
	time->tv_nsec = (long)(now % 1000000000);
	return 0;
}
