/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring_echo PORT HOW: an echo server for one connection that has a ring of io_uring(7), set up by
 * an instruction, as liburing does it. HOW says what it does with it:
 *
 *     poll     the ring waits, and recv(2) and send(2) do the rest
 *     receive  the ring receives, and send(2) answers
 *     aside    nothing: epoll_wait(2) waits
 *
 * Prints "no ring" and ends with status 77 where there is none to be had.
 */
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/system_call.h"

static struct {
	int descriptor;
	struct io_uring_params parameters;
	char *queues;
	struct io_uring_sqe *entries;
} ring;

static void *map(size_t size, off_t offset)
{
	void *memory =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring.descriptor, offset);

	if (memory == MAP_FAILED)
		exit(1);
	return memory;
}

static void ring_open(void)
{
	const struct io_uring_params *made = &ring.parameters;

	ring.descriptor = (int)kernel_call(SYS_io_uring_setup, 4, (long)&ring.parameters, 0, 0);
	if (ring.descriptor < 0 || !(made->features & IORING_FEAT_SINGLE_MMAP)) {
		puts("no ring");
		exit(77);
	}
	ring.queues = map(made->cq_off.cqes + made->cq_entries * sizeof(struct io_uring_cqe) +
				  made->sq_off.array + made->sq_entries * sizeof(uint32_t),
			  IORING_OFF_SQ_RING);
	ring.entries = map(made->sq_entries * sizeof(*ring.entries), IORING_OFF_SQES);
}

static _Atomic uint32_t *word(uint32_t offset)
{
	return (_Atomic uint32_t *)(ring.queues + offset);
}

/* One operation, and its result. */
static int ring_do(const struct io_uring_sqe *entry)
{
	const struct io_uring_params *made = &ring.parameters;
	const uint32_t tail = *word(made->sq_off.tail), head = *word(made->cq_off.head);
	const struct io_uring_cqe *results = (void *)(ring.queues + made->cq_off.cqes);
	const uint32_t at = tail & *word(made->sq_off.ring_mask);
	int result;

	ring.entries[at] = *entry;
	word(made->sq_off.array)[at] = at;
	atomic_store(word(made->sq_off.tail), tail + 1);
	while (*word(made->cq_off.tail) == head)
		kernel_call5(SYS_io_uring_enter, ring.descriptor,
			     *word(made->sq_off.tail) - *word(made->sq_off.head), 1,
			     IORING_ENTER_GETEVENTS, 0);
	result = results[head & *word(made->cq_off.ring_mask)].res;
	atomic_store(word(made->cq_off.head), head + 1);
	return result;
}

static int receive(int connection, const char *how, char *data, size_t size)
{
	struct io_uring_sqe entry = { .opcode = IORING_OP_POLL_ADD, .fd = connection };
	struct epoll_event event = { .events = EPOLLIN };
	static int epoll = -1;

	if (strcmp(how, "receive") == 0) {
		entry.opcode = IORING_OP_RECV;
		entry.addr = (uintptr_t)data;
		entry.len = (uint32_t)size;
		return ring_do(&entry);
	}
	entry.poll32_events = POLLIN;
	if (strcmp(how, "poll") == 0) {
		ring_do(&entry);
	} else {
		if (epoll < 0) {
			epoll = epoll_create1(0);
			epoll_ctl(epoll, EPOLL_CTL_ADD, connection, &event);
		}
		epoll_wait(epoll, &event, 1, -1);
	}
	return (int)recv(connection, data, size, 0);
}

int main(int count, char **arguments)
{
	struct sockaddr_in name = { .sin_family = AF_INET };
	const int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	static char data[65536];
	int connection, length;

	if (count != 3)
		return 2;
	name.sin_port = htons((uint16_t)atoi(arguments[1]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ring_open();
	if (bind(listener, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(listener, 5) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	connection = accept(listener, NULL, NULL);
	while ((length = receive(connection, arguments[2], data, sizeof(data))) > 0)
		for (ssize_t sent, at = 0; at < length; at += sent)
			if ((sent = send(connection, data + at, (size_t)(length - at), 0)) < 0)
				return 1;
	return length < 0;
}
