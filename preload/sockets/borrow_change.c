/* SPDX-License-Identifier: BSD-3-Clause */
/* See borrow_change.h. */
#include "preload/sockets/borrow_change.h"

#include <stdatomic.h>

#include "preload/config/config.h"
#include "preload/config/log.h"
#include "preload/process/lending.h"
#include "preload/sockets/socket_object.h"
#include "preload/waiting/epoll.h"

static enum socket_state begin(struct socket *socket, bool borrowed_too)
{
	for (;;) {
		enum socket_state state = socket_settled(socket);

		if (state != SOCKET_LENDABLE &&
		    !(borrowed_too && state == SOCKET_CONNECTION && atomic_load(&socket->borrowed)))
			return state;
		if (atomic_compare_exchange_strong(&socket->state, &state, SOCKET_CHANGING))
			return state;
	}
}

enum socket_state borrow_change_begin(struct socket *socket)
{
	return begin(socket, true);
}

enum socket_state borrow_change_begin_lendable(struct socket *socket)
{
	return begin(socket, false);
}

void borrow_change_end(struct socket *socket, enum socket_state state)
{
	atomic_store(&socket->state, state);
}

void borrow_unwatched(void)
{
	/* Else connections are borrowed at once, and a lender that rests would be in the way. */
	if (config_get()->borrow == BORROW_AUTO)
		lending_unwatched();
}

void borrow_forget_loan(struct socket *socket)
{
	struct lender *lender = lending_lender();

	if (!lender || socket->loan.state == LOAN_NONE)
		return;
	lender_unwatch(lender, &socket->loan);
	borrow_unwatched();
}

void borrow_log(const struct socket *socket, const char *what, const char *why)
{
	log_write(LOG_LEVEL_DEBUG, "descriptor %d: %s%s%s", atomic_load(&socket->descriptor), what,
		  *why ? ": " : "", why);
}

void borrow_keep(struct socket *socket, enum flow_count why, const char *text)
{
	if (!socket->was_borrowed)
		flow_counted_at(atomic_load(&socket->descriptor), why, socket->refusal);
	if (text)
		borrow_log(socket, "the kernel's", text);
	if (config_get()->required && why != FLOW_KEPT_UNPAID)
		atomic_store(&socket->failed, true);
	borrow_forget_loan(socket);
	borrow_change_end(socket, SOCKET_KERNEL);
	epoll_left_to_kernel(&socket->object);
	if (!atomic_load(&socket->failed) && !socket->info.kept &&
	    atomic_load(&socket->object.descriptors) == 1)
		descriptor_remove_of(atomic_load(&socket->descriptor), &socket->object);
}

void borrow_for_each(void (*work)(struct socket *socket, enum borrow_return why),
		     enum borrow_return why)
{
	struct socket *socket;

	for (int descriptor = 0; (socket = socket_get_next(&descriptor)); descriptor++) {
		work(socket, why);
		socket_put(socket);
	}
}

enum flow_count borrow_refusal_count(enum refusal refusal)
{
	switch (refusal) {
	case REFUSAL_LOCAL:
		return FLOW_KEPT_LOCAL;
	case REFUSAL_ROUTE:
	case REFUSAL_INTERFACE:
	case REFUSAL_UNRESOLVED:
	case REFUSAL_IPSEC:
	case REFUSAL_TRACKED:
		return FLOW_KEPT_PATH;
	case REFUSAL_NAMESPACE:
		return FLOW_KEPT_NAMESPACE;
	case REFUSAL_ULP:
	case REFUSAL_FILTER:
	case REFUSAL_BUFFER:
	case REFUSAL_SIGNED:
		return FLOW_KEPT_OPTION;
	case REFUSAL_UNSEEN:
		return FLOW_KEPT_UNSEEN;
	case REFUSAL_BUSY:
	case REFUSAL_RESTING:
	case REFUSAL_DESCRIPTORS:
	case REFUSAL_STATE:
	case REFUSAL_NONE:
		return FLOW_KEPT_UNPAID;
	case REFUSAL_RIGHTS:
	case REFUSAL_BROKER:
	case REFUSAL_VERSION:
		return FLOW_KEPT_RIGHTS;
	default:
		return FLOW_KEPT_STACK;
	}
}
