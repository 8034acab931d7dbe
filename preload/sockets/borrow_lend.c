/* SPDX-License-Identifier: BSD-3-Clause */
/* See borrow_lend.h. */
#include "preload/sockets/borrow_lend.h"

#include <stdatomic.h>
#include <string.h>

#include "common/own_descriptor.h"
#include "preload/config/config.h"
#include "preload/descriptors/descriptors.h"
#include "preload/libc/symbols.h"
#include "preload/process/process_stack.h"
#include "preload/process/status.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_change.h"
#include "preload/sockets/borrow_watch.h"
#include "preload/sockets/socket_object.h"
#include "preload/waiting/epoll.h"

/*
 * In CHANGING: whether there is a reference besides the table's and that of the list of those that
 * the stack wants to go back. Wrong in one direction only, so that no call is missed. The list's
 * reference is taken before wanted is set (want_back()); it is given back after the end of CHANGING
 * has been waited for, which who clears wanted does next (borrow_give_wanted()). So what is read
 * first here, wanted, says of a reference that it is among those that are counted then. A call that
 * takes its own later than that looks at the state afterwards (slot_get()), and waits until the
 * number is closed.
 */
static bool is_in_a_call(const struct socket *socket)
{
	const bool wanted = atomic_load(&socket->wanted);

	return atomic_load(&socket->object.references) > 1u + wanted;
}

/*
 * The last number goes while a thread is in a call on the connection. As over the kernel that call
 * goes on with it, and the connection ends when the call does: a duplicate stays until then.
 */
static void keep_for_call(struct socket *socket, int descriptor)
{
	int duplicate = libc()->dup(descriptor);

	if (duplicate < 0)
		return;
	socket->kept = true;
	atomic_store(&socket->descriptor, own_descriptor(duplicate));
}

/* False: it is to be tried again, since other threads are closing all its other numbers. */
static bool leave_number(struct socket *socket, int descriptor, bool is_last)
{
	enum socket_state state = borrow_change_begin(socket);
	const bool has_left =
		descriptor_succeed(&socket->object, &socket->descriptor, descriptor, is_last);

	if (is_last && state == SOCKET_CONNECTION && is_in_a_call(socket))
		keep_for_call(socket, descriptor);
	if (state == SOCKET_LENDABLE || state == SOCKET_CONNECTION)
		borrow_change_end(socket, state);
	return has_left;
}

/* One of its numbers goes: who changes it uses another one from now on. */
static void descriptor_closed(struct object *object, int descriptor, bool is_last)
{
	struct socket *socket = (struct socket *)object;
	const bool passed = status_is_passed_at(descriptor);
	unsigned tries = 0;

	/* Its note is of another one next. */
	if (passed)
		atomic_store(&socket->reach, TWIN_PASSED);
	while (!leave_number(socket, descriptor, is_last))
		descriptor_pause(&tries);
	if (passed && !is_last)
		borrow_end(socket, BORROW_PROCESS, true);
}

/* The last one: the kernel closes it next, as its options say. */
static void closed(struct object *object)
{
	struct socket *socket = (struct socket *)object;

	epoll_forget(object);
	if (atomic_load(&socket->borrowed)) {
		borrow_close(socket);
		return;
	}
	if (borrow_change_begin_lendable(socket) != SOCKET_LENDABLE)
		return;
	if (!socket->was_borrowed)
		flow_counted(socket->chosen ? borrow_refusal_count(socket->refusal)
					    : FLOW_KEPT_UNPAID);
	borrow_forget_loan(socket);
	borrow_change_end(socket, SOCKET_KERNEL);
}

/* Most waits are for one that was waited for before: its cache line is not written to again. */
static void note_awaited(struct socket *socket)
{
	if (!atomic_load_explicit(&socket->awaited, memory_order_relaxed))
		atomic_store_explicit(&socket->awaited, true, memory_order_relaxed);
}

static enum object_form form(const struct object *object)
{
	note_awaited((struct socket *)(uintptr_t)object);
	return socket_operations.form(object);
}

static enum object_form begin_wait(struct object *object, int descriptor)
{
	struct socket *socket = (struct socket *)object;

	(void)descriptor;
	note_awaited(socket);
	switch (socket_settled(socket)) {
	case SOCKET_CONNECTION:
		return FORM_STACK;
	case SOCKET_LENDABLE:
		return FORM_LENT;
	default:
		return FORM_KERNEL;
	}
}

static bool has_left(const struct object *object)
{
	return atomic_load(&((const struct socket *)object)->state) != SOCKET_CONNECTION;
}

static void settle(const struct object *object)
{
	socket_settled((const struct socket *)object);
}

struct object_operations borrow_operations(void)
{
	struct object_operations operations = socket_operations;

	operations.descriptor_closed = descriptor_closed;
	operations.closed = closed;
	operations.end = NULL;
	operations.form = form;
	operations.begin_wait = begin_wait;
	operations.has_left = has_left;
	operations.settle = settle;
	operations.is_unused = NULL;
	return operations;
}

void borrow_lend(struct socket *socket, int descriptor, enum flow_count taken)
{
	flow_counted_at(descriptor, taken, REFUSAL_NONE);
	atomic_store(&socket->descriptor, descriptor);
	atomic_store_explicit(&socket->state, SOCKET_LENDABLE, memory_order_release);
}

/*
 * It is not watched before its first transfer, whatever MELIN_BORROW says: to watch it takes long,
 * and a signal waits meanwhile whose handler may take the call for one that has accepted nothing
 * and end the process, as uwsgi's does. Who only hands it on to a child needs no stack either.
 */
void borrow_accepted(int descriptor, sa_family_t family)
{
	struct socket *socket;

	socket = socket_allocate(family);
	if (!socket)
		return;
	atomic_store(&socket->state, SOCKET_LENDABLE);
	status_begins_at(descriptor);
	descriptor_install(descriptor, &socket->object);
	borrow_lend(socket, descriptor, FLOW_TAKEN_ACCEPT);
	socket_put(socket);
}

void borrow_connected(struct socket *socket, int descriptor)
{
	borrow_lend(socket, descriptor, FLOW_TAKEN_CONNECT);
	if (config_get()->borrow != BORROW_AUTO)
		borrow_watch(socket, descriptor);
}

void borrow_disconnected(struct socket *socket)
{
	const enum socket_state state = borrow_change_begin_lendable(socket);

	/* Also of one that is the kernel's for good: the next connection begins to count anew. */
	if (state == SOCKET_LENDABLE || state == SOCKET_KERNEL)
		memset(&socket->info, 0, sizeof(socket->info));
	if (state != SOCKET_LENDABLE)
		return;
	borrow_forget_loan(socket);
	memset(&socket->policy, 0, sizeof(socket->policy));
	socket->chosen = false;
	borrow_change_end(socket, SOCKET_UNDECIDED);
}
