/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recv(2): the data that has come and is unread, and the window that the peer is offered for more.
 * Not for acknowledging it: acknowledge.h.
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

/* Received data that the program has not read: single pbufs linked by ->next. */
struct receive_queue {
	struct pbuf *head, *tail;
	size_t bytes;	    /* unread */
	unsigned buffers;   /* pbufs in the list */
	uint32_t came_us;   /* when the byte came that was taken out last; see receive_stamp() */
	uint16_t offset;    /* bytes of head that are read already */
	uint16_t tail_room; /* bytes that still fit behind tail's, which is a block of ours */
};

/* How much of SO_RCVBUF is offered, and its growth with what the program reads. */
struct receive_window {
	uint64_t read_start;	/* ns: since when read counts */
	uint32_t read;		/* bytes that the program has read since then */
	uint32_t pressure_most; /* the window's most under memory pressure; 0: no such limit */
};

ssize_t receive_data(struct stack_socket *socket, const struct iovec *iov, size_t count, int flags);
void receive_queue_add(struct stack_socket *socket, struct pbuf *data);
/* All that is unread, which stays. */
void receive_queue_copy(const struct receive_queue *queue, uint8_t *to);
/* SO_TIMESTAMP: notes that what is in the queue has come now; later data is noted as it comes. */
void receive_queue_stamp(struct stack_socket *socket);
int receive_time(const struct stack_socket *socket, struct timespec *time);
void receive_queue_clear(struct receive_queue *queue);
/* The unread byte at that distance, which must be there. */
uint8_t receive_queue_byte(const struct receive_queue *queue, size_t distance);
/* Before a connection is established: the window that there is memory for. */
void receive_clamp_window(struct stack_socket *socket);
/* Takes the next byte out as if it had been read. */
void receive_drop_one(struct stack_socket *socket);

#endif
