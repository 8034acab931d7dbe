/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data that has come and that the program has not read, of one socket. Only the queue; the lock is
 * held. Not for what a reader is told (receive.h), nor for what the peer is (receive_window.h).
 */
#ifndef MELIN_RECEIVE_QUEUE_H
#define MELIN_RECEIVE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct pbuf;
struct stack_socket;

/* Single pbufs linked by ->next. */
struct receive_queue {
	struct pbuf *head, *tail;
	size_t bytes;	    /* unread */
	unsigned buffers;   /* pbufs in the list */
	uint32_t came_us;   /* receive_queue_clock() when the byte came that was taken out last */
	uint16_t offset;    /* bytes of head that are read already */
	uint16_t tail_room; /* bytes that still fit behind tail's, which is a block of ours */
	/*
	 * The number up to which the peer knows that it may send. lwIP's own is beyond that by what
	 * the window's scale cuts off.
	 */
	uint32_t told;
};

/* Microseconds by the instance's clock: what data is stamped with. */
uint32_t receive_queue_clock(void);
/* Takes over what lwIP has received, in the order of the stream. */
void receive_queue_add(struct stack_socket *socket, struct pbuf *data);
/* SO_TIMESTAMP: notes that what is in the queue has come now; later data is noted as it comes. */
void receive_queue_stamp(struct stack_socket *socket);
void receive_queue_clear(struct receive_queue *queue);
/* Copies all that is unread, which stays. */
void receive_queue_copy(const struct receive_queue *queue, uint8_t *to);
/* The unread byte at that distance, which must be there. */
uint8_t receive_queue_byte(const struct receive_queue *queue, size_t distance);
/*
 * Copies size bytes out, which must be there, or only counts them (no iov: MSG_TRUNC); a peek may
 * begin at some distance. What is not peeked at is gone. Returns size.
 */
size_t receive_queue_take(struct receive_queue *queue, const struct iovec *iov, size_t size,
			  bool peek, size_t distance);
/* Of limit bytes from that distance on: how many are in buffers that lie within as a whole. */
size_t receive_queue_whole_buffers(const struct receive_queue *queue, size_t distance,
				   size_t limit);

#endif
