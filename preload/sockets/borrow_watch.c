/* SPDX-License-Identifier: BSD-3-Clause */
/* See borrow_watch.h. */
#include "preload/sockets/borrow_watch.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>

#include "common/option_table.h"
#include "common/system_call.h"
#include "preload/config/address.h"
#include "preload/config/config.h"
#include "preload/config/log.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/libc/symbols.h"
#include "preload/process/lending.h"
#include "preload/process/process_stack.h"
#include "preload/sockets/ancillary.h"
#include "preload/sockets/borrow_change.h"
#include "preload/sockets/borrow_stop.h"
#include "preload/sockets/rings.h"
#include "preload/sockets/socket_object.h"
#include "preload/sockets/stream.h"
#include "preload/sockets/twin_options.h"

bool borrow_is_selected(enum rule_verb verb, const struct sockaddr *name, socklen_t length)
{
	struct ip_address address;
	uint16_t port;

	return address_from_sockaddr(name, length, &address, &port) == 0 &&
	       rules_match(&config_get()->flows, verb, &address, port) == RULE_TAKE;
}

/*
 * libc reads and writes its standard streams by calls of its own, which nobody sees here, unless
 * the streams are melin's.
 */
static bool is_standard(const struct socket *socket)
{
	for (int descriptor = 0; descriptor <= 2; descriptor++)
		if (atomic_load(&descriptor_table[descriptor]) == &socket->object &&
		    !stream_stands_in(descriptor))
			return true;
	return false;
}

/*
 * Whether the SYN of the connection was saved and not yet read (tcp(7), TCP_SAVED_SYN): the kernel
 * frees it when the connection is dissolved to be given back. Without room for it the kernel fails
 * and tells its length.
 */
static bool has_saved_syn(int descriptor)
{
	socklen_t size = 0;

	return kernel_call5(SYS_getsockopt, descriptor, IPPROTO_TCP, TCP_SAVED_SYN, 0,
			    (long)&size) < 0 &&
	       size > 0;
}

/* Once for each connection, in CHANGING: whether it can be borrowed at all. FLOW_COUNTS: yes. */
static enum flow_count why_not_ever(struct socket *socket, int descriptor, const char **text)
{
	const struct option *option;

	*text = "a standard stream";
	if (is_standard(socket))
		return FLOW_KEPT_OPTION;
	*text = "O_ASYNC";
	if (libc()->fcntl(descriptor, F_GETFL, 0L) & O_ASYNC)
		return FLOW_KEPT_OPTION;
	*text = "TCP_SAVED_SYN";
	if (has_saved_syn(descriptor))
		return FLOW_KEPT_OPTION;
	twin_options_assume(socket);
	option = twin_options_kernel_only(socket, descriptor, OPTION_CONNECT | OPTION_LOAN);
	if (option) {
		*text = option->name;
		return FLOW_KEPT_OPTION;
	}
	/* The kernel does not take the times of what is unread with a connection that it gets. */
	*text = "SO_TIMESTAMP";
	ancillary_adopt(socket, descriptor);
	return ancillary_needs_times(socket) ? FLOW_KEPT_OPTION : FLOW_COUNTS;
}

/* Whether it is the one that MELIN_DEV names, if it does. The name is asked for once. */
static bool is_wanted(unsigned interface)
{
	static _Atomic unsigned wanted;
	const char *only = config_get()->interface;
	char name[IFNAMSIZ];

	if (!only || atomic_load(&wanted) == interface)
		return true;
	if (!if_indextoname(interface, name) || strcmp(name, only) != 0)
		return false;
	atomic_store(&wanted, interface);
	return true;
}

uint32_t borrow_path_changes(void)
{
	const struct instance *instance = process_stack_running();

	return instance->operations->path_changes(instance->stack);
}

/* An interface that is new to the lender takes a descriptor, and the program may have them all. */
static enum refusal watch_with_room(struct socket *socket, int descriptor)
{
	enum refusal refusal = lender_watch(lending_lender(), descriptor, &socket->loan);

	if (refusal != REFUSAL_DESCRIPTORS)
		return refusal;
	descriptor_room_begin();
	refusal = lender_watch(lending_lender(), descriptor, &socket->loan);
	descriptor_room_end();
	return refusal;
}

enum refusal borrow_watch_again(struct socket *socket, int descriptor)
{
	enum refusal refusal;

	socket->path_changes = borrow_path_changes();
	refusal = watch_with_room(socket, descriptor);
	if (refusal == REFUSAL_RESTING)
		lending_ask(LENDING_WAKE);
	if (refusal)
		return refusal;
	if (is_wanted(socket->loan.path.interface))
		return REFUSAL_NONE;
	lender_unwatch(lending_lender(), &socket->loan);
	return REFUSAL_INTERFACE;
}

/* A warning once in a process: nothing will be borrowed in it. */
static void tell_once(enum refusal refusal)
{
	static _Atomic bool told;

	if (refusal >= REFUSAL_RIGHTS && refusal <= REFUSAL_FAILED && !atomic_exchange(&told, true))
		log_write(LOG_LEVEL_WARN, "no connection is borrowed: %s; %s",
			  refusal_text(refusal),
			  config_get()->required ? "selected flows fail"
						 : "the kernel carries them all");
}

bool borrow_settle_refusal(struct socket *socket, enum refusal refusal)
{
	const bool waits = refusal == REFUSAL_BROKER && !config_get()->required;

	socket->refusal = (uint8_t)refusal;
	status_refused_at(atomic_load(&socket->descriptor), socket->refusal);
	if (waits)
		borrow_policy_begins_anew(&socket->policy);
	if (refusal == REFUSAL_NONE || refusal_is_passing(refusal) || waits) {
		if (refusal)
			borrow_policy_refused(&socket->policy);
		borrow_change_end(socket, SOCKET_LENDABLE);
		return true;
	}
	if (lending_refusal() == REFUSAL_NONE && !process_stack_has_failed())
		tell_once(refusal); /* else the start has told */
	borrow_keep(socket, borrow_refusal_count(refusal), refusal_text(refusal));
	return false;
}

_Atomic bool borrow_is_renewing;

/* False: it has gone. It may be back by now, which another thread finds out. */
static bool has_broker(struct socket *socket)
{
	if (!lender_is_gone(lending_lender()) && !atomic_load(&borrow_is_renewing))
		return true;
	borrow_policy_begins_anew(&socket->policy);
	lending_ask_again(LENDING_RENEW);
	return false;
}

/* Or there is a reason why not, of which one is found out here: a thread takes addresses, too. */
static void see_to_start(void)
{
	if (process_stack_has_failed()) {
		if (lending_may_come())
			lending_ask_again(LENDING_START);
	} else if (!process_stack_fits_limits()) {
		return;
	} else if (config_get()->required) {
		rings_look();
		process_stack_start();
	} else {
		lending_ask(LENDING_START);
	}
}

bool borrow_is_ready(struct socket *socket)
{
	if (process_stack_running() && lending_lender())
		return has_broker(socket);
	see_to_start();
	if (process_stack_running() && lending_lender())
		return true;
	borrow_policy_refused(&socket->policy);
	return false;
}

/* Why they will not be. REFUSAL_NONE: they may be yet. */
static enum refusal why_no_start(void)
{
	const struct lender *lender = lending_lender();
	const enum refusal why = lending_refusal();

	if (lender && lender_is_gone(lender) && config_get()->required)
		return REFUSAL_BROKER;
	return why == REFUSAL_NONE && process_stack_has_failed() ? REFUSAL_NO_START : why;
}

bool borrow_watch(struct socket *socket, int descriptor)
{
	enum refusal refusal;
	enum flow_count never;
	const char *text;

	if (status_is_drained() || borrow_is_filtered() ||
	    borrow_change_begin_lendable(socket) != SOCKET_LENDABLE)
		return true;
	/* Another thread may be closing the number, or have closed it, since the call began. */
	if (borrow_is_stopped() || borrow_is_filtered() ||
	    !descriptor_has(descriptor, &socket->object)) {
		borrow_change_end(socket, SOCKET_LENDABLE);
		return true;
	}
	if (!socket->chosen) {
		never = why_not_ever(socket, descriptor, &text);
		if (never != FLOW_COUNTS) {
			borrow_keep(socket, never, text);
			return false;
		}
		socket->chosen = true;
	}
	refusal = borrow_is_ready(socket) ? borrow_watch_again(socket, descriptor) : why_no_start();
	return borrow_settle_refusal(socket, refusal);
}
