/* SPDX-License-Identifier: BSD-3-Clause */
/* See status_rows.h. */
#include "preload/sockets/status_rows.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

#include "preload/descriptors/descriptors.h"
#include "preload/process/lending.h"
#include "preload/process/process_stack.h"
#include "preload/process/status.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/listener.h"
#include "preload/sockets/socket_object.h"

#define STORE_COUNT(name, text) *counts++ = from.name;

static void fill_counts(void)
{
	const struct instance *instance = process_stack_running();
	_Atomic uint64_t *counts = status_page->counts;
	struct stack_counters from;

	if (!instance)
		return;
	memset(&from, 0, sizeof(from));
	instance->operations->counters(instance->stack, &from);
	STACK_COUNTERS(STORE_COUNT)
}

/* False: it is not the stack's, or is not any more. */
static bool fill_row(struct status_row *row, struct socket *socket, int descriptor)
{
	const bool carried = socket_settled(socket) == SOCKET_CONNECTION;
	const struct instance *instance = carried ? socket_instance(socket) : NULL;
	struct tcp_info info;
	socklen_t length = sizeof(info);

	if (!instance)
		return false;
	memset(row, 0, sizeof(*row));
	memset(&info, 0, sizeof(info));
	if (instance->operations->get_option(socket->handle, IPPROTO_TCP, TCP_INFO, &info,
					     &length) < 0)
		return false;
	status_row_measure(row, &info);
	row->descriptor = descriptor;
	row->borrowed = atomic_load(&socket->borrowed);
	if (row->borrowed)
		row->borrowed_for = status_age(socket->borrowed_since);
	row->receive_queue = (uint32_t)instance->operations->readable(socket->handle);
	row->send_queue = (uint32_t)instance->operations->unsent(socket->handle);
	/* Of one without a peer, which connects still, the address is all zero. */
	instance->operations->name(socket->handle, false, &row->local);
	instance->operations->name(socket->handle, true, &row->peer);
	return true;
}

static void fill_rows(uint32_t first)
{
	int descriptor = first > INT32_MAX ? INT32_MAX : (int)first;
	uint32_t count = 0, next = UINT32_MAX;
	struct socket *socket;

	for (; count < STATUS_ROWS && (socket = socket_get_next(&descriptor)); descriptor++) {
		count += fill_row(&status_page->rows[count], socket, descriptor);
		socket_put(socket);
	}
	if (count == STATUS_ROWS)
		next = (uint32_t)descriptor;
	status_page->row_count = count;
	status_page->next = next;
}

/* Begins or ends the capture as asked for; if it cannot, the ring says why. */
static void set_capture(bool wanted)
{
	const struct instance *instance = process_stack_running();
	struct capture_ring *ring = &status_page->capture;

	ring->error = instance
			      ? instance->operations->capture(instance->stack, wanted ? ring : NULL)
			      : -ENOENT;
}

/* As what is sent through a Unix socket. */
static void pass(uint32_t first)
{
	const int descriptor = first > INT32_MAX ? -1 : (int)first;

	listener_passed(descriptor);
	borrow_end_any(descriptor, BORROW_PROCESS, true);
}

void status_rows_answer(uint32_t wanted)
{
	if (wanted & (STATUS_ASK_CAPTURE | STATUS_ASK_CAPTURE_END))
		set_capture(wanted & STATUS_ASK_CAPTURE);
	if (wanted & STATUS_ASK_DRAIN)
		borrow_drain();
	if (wanted & STATUS_ASK_PASS)
		pass(status_page->first);
	if (wanted & STATUS_ASK_COUNTS)
		fill_counts();
	if (wanted & STATUS_ASK_ROWS)
		fill_rows(status_page->first);
}

void status_rows_begin(void)
{
	static const struct lending_work work = { .status = status_rows_answer };

	lending_set_work(&work);
}
