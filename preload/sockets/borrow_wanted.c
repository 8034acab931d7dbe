/* SPDX-License-Identifier: BSD-3-Clause */
/* See borrow_wanted.h. */
#include "preload/sockets/borrow_wanted.h"

#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "preload/config/config.h"
#include "preload/libc/signals.h"
#include "preload/process/lending.h"
#include "preload/process/process_stack.h"
#include "preload/process/status.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_change.h"
#include "preload/sockets/borrow_stop.h"
#include "preload/sockets/rings.h"
#include "preload/sockets/socket_object.h"
#include "preload/waiting/wait.h"

/* Connections that the stack wants to be given back, each with a reference; through next_wanted. */
static struct socket *_Atomic wanted;

/* One thread at a time, with the stack's lock: nobody else sets wanted. */
static void want_back(struct socket *socket)
{
	struct socket *first = atomic_load(&wanted);

	/* Who takes it off the list looks for the reason after that. */
	if (atomic_load(&socket->wanted))
		return;
	/* Before: is_in_a_call() takes a reference that it does not know of for a call's. */
	atomic_fetch_add(&socket->object.references, 1); /* who takes it off drops it */
	atomic_store(&socket->wanted, true);
	do {
		socket->next_wanted = first;
	} while (!atomic_compare_exchange_weak(&wanted, &first, socket));
	atomic_store(&wait_errand_due, true);
	lending_ask(LENDING_GIVE_BACK);
}

void borrow_event(void *user, uint32_t events)
{
	struct socket *socket = user;

	if (events & STACK_EVENT_RETURN)
		want_back(socket);
	events &= ~STACK_EVENT_RETURN;
	if (events)
		socket_event(user, events);
}

/*
 * The stack may ask before the thread that borrows has told anybody, and does not ask twice: so the
 * end of CHANGING is waited for.
 */
static void consider(struct socket *socket)
{
	const bool is_connection = socket_settled(socket) == SOCKET_CONNECTION;
	const struct instance *instance = socket_instance(socket);
	struct stack_losses losses;

	if (!is_connection || !instance || !atomic_load(&socket->borrowed))
		return;
	switch (instance->operations->return_reason(socket->handle)) {
	case STACK_RETURN_LOSS:
		instance->operations->losses(socket->handle, &losses);
		if (borrow_policy_is_lossy(losses.recoveries, losses.timeouts))
			borrow_end(socket, BORROW_LOSS, false);
		break;
	case STACK_RETURN_IDLE:
		borrow_end(socket, BORROW_IDLE, false);
		break;
	case STACK_RETURN_PATH:
		borrow_end(socket, BORROW_PATH, false);
		break;
	case STACK_RETURN_TIMEOUT:
	case STACK_RETURN_CLOSED:
	case STACK_RETURN_RESET:
		borrow_end(socket, BORROW_PEER, true);
		break;
	case STACK_RETURN_NONE:
		break;
	}
}

void borrow_give_wanted(void)
{
	struct socket *socket, *next;

	atomic_store(&wait_errand_due, false);
	for (socket = atomic_exchange(&wanted, NULL); socket; socket = next) {
		signals_hold(); /* for the reference, which another thread has taken */
		next = socket->next_wanted;
		atomic_store(&socket->wanted, false);
		consider(socket);
		socket_put(socket);
	}
}

/* Its twin has been destroyed (ss -K), which tells nobody: the kernel ends it for good. */
static bool is_destroyed(const struct socket *socket)
{
	const int state = socket_state_in_kernel(atomic_load(&socket->descriptor));

	return atomic_load(&socket->borrowed) && state == TCP_CLOSE;
}

static void end_if_idle(struct socket *socket, enum borrow_return why)
{
	if (!atomic_load(&socket->borrowed))
		return;
	if (is_destroyed(socket))
		borrow_end(socket, BORROW_CLOSED, true);
	else if (borrow_is_rings(socket))
		borrow_end(socket, BORROW_CALL, false);
	else if (borrow_policy_is_idle(&socket->policy, status_age(socket->borrowed_since)))
		borrow_end(socket, why, false);
}

void borrow_look_for_idle(void)
{
	if (borrow_is_filtered())
		return; /* nothing is borrowed, and a thread may not be allowed */
	rings_look();
	borrow_for_each(end_if_idle, BORROW_IDLE);
}

void borrow_moved(struct socket *socket, enum borrow_direction direction, size_t bytes)
{
	enum borrow_return why;

	if (borrow_policy_moved(&socket->policy, direction, bytes))
		why = BORROW_BULK;
	else if (borrow_policy_has_slept(&socket->policy))
		why = BORROW_SLOW;
	else if (config_get()->borrow == BORROW_RANDOM && borrow_policy_by_chance())
		why = BORROW_CHANCE;
	else
		return;
	borrow_end(socket, why, false);
}

void borrow_forget_wanted(void)
{
	atomic_store(&wanted, NULL);
	atomic_store(&wait_errand_due, false);
}
