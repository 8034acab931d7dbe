/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue of received data: receive_queue.h. lwIP's data is never refused: the window is what
 * keeps the peer from sending more.
 */
#include "stack/socket/receive_queue.h"

#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket/socket.h"

/*
 * Up to this much of a socket's data waits in the buffers that it came in. What is beyond is copied
 * together into blocks, so that neither a program that does not read nor a peer that sends single
 * bytes can keep the device's buffers.
 */
#define KEEP_BYTES   (64u * 1024)
#define KEEP_BUFFERS 64
/* All sockets together keep at most so many of the device's buffers, a fraction of any pool. */
#define KEEP_ALL    512
#define BLOCK	    16384
#define BLOCK_LEAST 2048

static bool is_device_buffer(const struct pbuf *buffer)
{
	return buffer->flags & PBUF_FLAG_IS_CUSTOM;
}

static void append(struct receive_queue *queue, struct pbuf *buffer, uint16_t room)
{
	melin_instance->device_buffers += is_device_buffer(buffer);
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

/* A pbuf has one time, sent_us: of received data it is when that came. */
uint32_t receive_queue_clock(void)
{
	return (uint32_t)(melin_clock_ns() / 1000);
}

void receive_queue_stamp(struct stack_socket *socket)
{
	for (struct pbuf *buffer = socket->received.head; buffer; buffer = buffer->next)
		buffer->sent_us = receive_queue_clock();
}

void receive_queue_add(struct stack_socket *socket, struct pbuf *data)
{
	struct receive_queue *queue = &socket->received;
	struct pbuf *next;

	for (; data; data = next) {
		bool compact =
			queue->bytes > KEEP_BYTES || queue->buffers > KEEP_BUFFERS ||
			(is_device_buffer(data) && melin_instance->device_buffers >= KEEP_ALL);

		next = data->next;
		data->next = NULL;
		data->tot_len = data->len;
		if (socket->options.times)
			data->sent_us = receive_queue_clock();
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

	melin_instance->device_buffers -= is_device_buffer(head);
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

size_t receive_queue_take(struct receive_queue *queue, const struct iovec *iov, size_t size,
			  bool peek, size_t distance)
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

size_t receive_queue_whole_buffers(const struct receive_queue *queue, size_t distance, size_t limit)
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
