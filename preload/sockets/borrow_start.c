/* SPDX-License-Identifier: BSD-3-Clause */
/* See borrow_start.h. */
#include "preload/sockets/borrow_start.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/system_call.h"
#include "preload/config/config.h"
#include "preload/config/log.h"
#include "preload/libc/capabilities.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/descriptors/descriptors.h"
#include "preload/libc/symbols.h"
#include "preload/process/lending.h"
#include "preload/process/process_stack.h"
#include "preload/sockets/borrow.h"
#include "preload/sockets/borrow_lend.h"
#include "preload/sockets/borrow_process.h"
#include "preload/sockets/borrow_stop.h"
#include "preload/sockets/borrow_wanted.h"
#include "preload/sockets/borrow_watch.h"
#include "preload/sockets/holders.h"
#include "preload/sockets/pending.h"
#include "preload/sockets/rings.h"
#include "preload/sockets/socket_object.h"
#include "preload/sockets/status_rows.h"
#include "preload/sockets/stream.h"
#include "preload/waiting/wait.h"

static bool has_come(void)
{
	bool has;

	descriptor_room_begin();
	has = lending_may_come() && lending_open() == REFUSAL_NONE;
	descriptor_room_end();
	return has;
}

static void start(void)
{
	rings_look();
	if (!process_stack_has_failed())
		process_stack_start();
	else if (has_come() && process_stack_start_again())
		lending_renewed();
}

static int replace_tap(void *context, int tap)
{
	const struct instance *instance = context;

	return instance->operations->renew_tap(instance->stack, tap);
}

/* The package has been upgraded while the program runs. Once, since it is asked again and again. */
static void tell_other_version(void)
{
	static bool told;

	if (!told)
		log_write(LOG_LEVEL_WARN, "no connection is borrowed any more: %s; %s",
			  refusal_text(REFUSAL_VERSION),
			  config_get()->required ? "selected flows fail"
						 : "the kernel carries them all");
	told = true;
}

/* Nothing is borrowed meanwhile, since borrow_is_renewing is set. */
static void renew(void)
{
	const struct instance *instance = process_stack_running();
	enum refusal refusal;

	/* A renewal may have been asked for twice. The tap is a new one only if its broker is. */
	if (!instance || !lender_is_gone(lending_lender()))
		return;
	atomic_store(&borrow_is_renewing, true);
	refusal = lender_renew(lending_lender(), replace_tap, (void *)(uintptr_t)instance);
	if (refusal == REFUSAL_NONE) {
		lending_renewed();
		log_write(LOG_LEVEL_INFO, "there is a broker again");
	}
	if (refusal == REFUSAL_VERSION)
		tell_other_version();
	atomic_store(&borrow_is_renewing, false);
}

static void give_all(void)
{
	borrow_stop(); /* for good: the process ends */
	borrow_end_all(BORROW_CLOSED);
	if (lending_lender())
		lender_settle(lending_lender());
}

/* A handler must not take locks, which the thread that it has interrupted may have. */
static void process_ends(bool in_handler)
{
	if (in_handler)
		lending_give_all_waiting(config_get()->linger_ms);
	else
		give_all();
}

/* How many descriptors are looked at when the program begins: those that are handed on are low. */
#define INHERITED_MAX 64

/* An established connection's: who knows which end has listened. FLOW_COUNTS: no rule takes it. */
static enum flow_count selected_as(int descriptor)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);

	if (libc()->getsockname(descriptor, (struct sockaddr *)&name, &length) == 0 &&
	    borrow_is_selected(RULE_LISTEN, (struct sockaddr *)&name, length))
		return FLOW_TAKEN_ACCEPT;
	length = sizeof(name);
	if (libc()->getpeername(descriptor, (struct sockaddr *)&name, &length) == 0 &&
	    borrow_is_selected(RULE_CONNECT, (struct sockaddr *)&name, length))
		return FLOW_TAKEN_CONNECT;
	return FLOW_COUNTS;
}

/*
 * The socket of a lower descriptor that is the same file, with a reference, or NULL. There is one
 * file for an inode of a socket: no path opens it anew.
 */
static struct socket *same_file(int descriptor)
{
	struct holders_file file, other;
	struct socket *socket;

	if (!holders_file(descriptor, &file))
		return NULL;
	for (int lower = 0; (socket = socket_get_next(&lower)); lower++) {
		if (lower < descriptor && holders_file(lower, &other) && other.inode == file.inode)
			return socket;
		socket_put(socket);
	}
	return NULL;
}

/*
 * Established before the program began: whoever made it may have it still. Returns how it is
 * counted, if it is new here and a rule takes it, or FLOW_COUNTS.
 */
static enum flow_count note_inherited(int descriptor)
{
	enum flow_count taken;
	struct socket *socket;
	bool is_new;

	if (socket_state_in_kernel(descriptor) != TCP_ESTABLISHED)
		return FLOW_COUNTS;
	taken = selected_as(descriptor);
	if (taken == FLOW_COUNTS)
		return FLOW_COUNTS;
	if (descriptor <= STDERR_FILENO)
		stream_standard_inherited(descriptor);
	if (descriptor == STDERR_FILENO)
		log_leave_standard_error();
	socket = same_file(descriptor);
	is_new = !socket;
	if (is_new)
		socket = socket_allocate_for(descriptor);
	if (!socket)
		return FLOW_COUNTS;
	atomic_store(&socket->held, true);
	atomic_store(&socket->inherited, true);
	atomic_store(&socket->state, SOCKET_LENDABLE);
	descriptor_install(descriptor, &socket->object);
	socket_put(socket);
	return is_new ? taken : FLOW_COUNTS;
}

/*
 * It is not watched before its first transfer, whatever MELIN_BORROW says: a program that only
 * hands it on, as env(1), does not start a stack for it. The threads of that would even end
 * setpriv(1), which gives its own thread other rights than they have and then changes the user of
 * all.
 */
static void lend_inherited(int descriptor, enum flow_count taken)
{
	struct socket *socket = socket_get_any(descriptor);

	if (!socket)
		return;
	borrow_lend(socket, descriptor, taken);
	socket_put(socket);
}

/*
 * One system call tells which there are: most programs begin with three. A connection may have
 * several numbers, all of which are known before it is lent.
 */
static void lend_all_inherited(void)
{
	struct pollfd open[INHERITED_MAX];
	enum flow_count taken[INHERITED_MAX];
	const struct timespec at_once = { 0 };

	for (int i = 0; i < INHERITED_MAX; i++)
		open[i] = (struct pollfd){ .fd = i };
	kernel_call5(SYS_ppoll, (long)open, INHERITED_MAX, (long)&at_once, 0, 0);
	for (int i = 0; i < INHERITED_MAX; i++)
		taken[i] = open[i].revents & POLLNVAL ? FLOW_COUNTS : note_inherited(i);
	for (int i = 0; i < INHERITED_MAX; i++)
		if (taken[i] != FLOW_COUNTS)
			lend_inherited(i, taken[i]);
}

void borrow_begin(void)
{
	static const struct lending_work work = {
		.start = start,
		.give_back = borrow_give_wanted,
		.look = borrow_look_for_idle,
		.holders = borrow_look_for_holders,
		.give_all = give_all,
		.renew = renew,
		.rest = borrow_rest,
		.status = status_rows_answer,
	};
	/* There are no listeners here; else as in own mode. */
	static const struct process_stack_users users = {
		.event = borrow_event,
		.any_waiting = pending_any,
		.any_ever_waited = pending_was_any,
		.is_awaited_elsewhere = pending_is_awaited_elsewhere,
		.start_begins = pending_start_begins,
		.started = pending_start,
		.ending = process_ends,
	};
	static struct object_operations operations;
	const int errno_before = errno;

	operations = borrow_operations();
	object_register(OBJECT_SOCKET, &operations);
	process_stack_register(&users);
	wait_errand = borrow_give_wanted;
	lending_set_work(&work);
	lend_all_inherited();
	errno = errno_before;
}
