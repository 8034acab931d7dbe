/* SPDX-License-Identifier: BSD-3-Clause */
/* See borrow_process.h. */
#include "preload/sockets/borrow_process.h"

#include <stdatomic.h>
#include <string.h>

#include "preload/config/config.h"
#include "preload/process/lending.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_change.h"
#include "preload/sockets/borrow_stop.h"
#include "preload/sockets/borrow_wanted.h"
#include "preload/sockets/borrow_watch.h"
#include "preload/sockets/holders.h"
#include "preload/sockets/socket_object.h"

/* How many children there were: who looks for those that hold a file knows whether one has come. */
static _Atomic unsigned forks;

static void may_be_held(struct socket *socket, enum borrow_return why)
{
	enum socket_state state;

	borrow_end(socket, why, false);
	state = borrow_change_begin(socket);
	/* One that will connect later has two holders then as well. */
	atomic_store(&socket->held, true);
	if (state == SOCKET_LENDABLE || state == SOCKET_CONNECTION)
		borrow_change_end(socket, state);
}

void borrow_before_fork(void)
{
	if (!config_get()->host)
		return;
	borrow_stop();
	/* A broker's client has nothing open meanwhile, and a broker may be slow. */
	if (lending_lender() && !lender_may_end(lending_lender()))
		borrow_await_rest();
	atomic_fetch_add(&forks, 1);
	borrow_for_each(may_be_held, BORROW_PROCESS);
}

void borrow_after_fork(void)
{
	if (config_get()->host)
		borrow_go_on();
}

/*
 * The stack was the parent's, and its handles, too. A thread of the parent's that was about to find
 * something out does not exist here.
 */
static void forget_handle(struct socket *socket, enum borrow_return why)
{
	enum socket_state changing = SOCKET_CHANGING;

	(void)why;
	atomic_compare_exchange_strong(&socket->state, &changing, SOCKET_LENDABLE);
	socket->handle = NULL;
	socket->instance = NULL;
	memset(&socket->loan, 0, sizeof(socket->loan));
	socket->was_borrowed = false;
	atomic_store(&socket->inherited, true);
}

void borrow_forked(void)
{
	if (config_get()->host) {
		borrow_forget_wanted();
		borrow_for_each(forget_handle, BORROW_PROCESS);
	}
	lending_forked();
	atomic_store(&borrow_is_renewing, false);
	borrow_stop_forked();
}

void borrow_before_losing(void)
{
	borrow_end_all(BORROW_RIGHTS);
	lending_before_losing();
}

/* As many connections as one look is about. */
#define HELD_MAX 256

static unsigned find_held(struct socket *sockets[HELD_MAX], struct holders_file files[HELD_MAX])
{
	struct socket *socket;
	unsigned count = 0;

	for (int descriptor = 0; count < HELD_MAX && (socket = socket_get_next(&descriptor));
	     descriptor++) {
		if (atomic_load(&socket->held) && socket->chosen &&
		    atomic_load(&socket->state) == SOCKET_LENDABLE &&
		    holders_file(descriptor, &files[count])) {
			files[count].inherited = atomic_load(&socket->inherited);
			sockets[count++] = socket;
		} else {
			socket_put(socket);
		}
	}
	return count;
}

static void not_held(struct socket *socket, unsigned forks_before)
{
	const enum socket_state state = borrow_change_begin(socket);

	if (state != SOCKET_LENDABLE && state != SOCKET_CONNECTION)
		return;
	if (forks_before == atomic_load(&forks))
		atomic_store(&socket->held, false);
	borrow_change_end(socket, state);
}

void borrow_look_for_holders(void)
{
	static struct socket *sockets[HELD_MAX];
	static struct holders_file files[HELD_MAX];
	const unsigned forks_before = atomic_load(&forks);
	const unsigned count = find_held(sockets, files);

	holders_look(files, count);
	for (unsigned i = 0; i < count; i++) {
		if (!files[i].held)
			not_held(sockets[i], forks_before);
		socket_put(sockets[i]);
	}
}
