/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libmelin.so's beginning and end in a process, and what a fork means for it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/sockets/asynchronous.h"
#include "preload/process/lending.h"
#include "preload/sockets/borrow.h"
#include "preload/libc/monotonic.h"
#include "preload/config/config.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/descriptors/descriptors.h"
#include "preload/lifecycle/forks.h"
#include "preload/process/process_stack.h"
#include "preload/config/log.h"
#include "preload/config/origin.h"
#include "preload/sockets/pending.h"
#include "preload/sockets/socket_object.h"
#include "preload/libc/signals.h"
#include "preload/sockets/stream.h"
#include "preload/libc/symbols.h"
#include "preload/waiting/epoll.h"
#include "preload/waiting/wait.h"

/* No lock of melin's may be held by another thread, which the child does not have. */
void forks_before(void)
{
	borrow_before_fork();
	process_stack_before_fork();
	pending_before_fork();
	stream_before_fork();
	guarded_lock(&wait_lock);
	asynchronous_before_fork();
	descriptor_before_fork();
	signals_before_fork();
}

void forks_after_in_parent(void)
{
	signals_after_fork();
	descriptor_after_fork();
	asynchronous_after_fork();
	guarded_unlock(&wait_lock);
	stream_after_fork();
	pending_after_fork();
	process_stack_after_fork();
	borrow_after_fork();
}

/* Handlers run when all of it is done: before that a call would go to the parent's stack. */
void forks_after_in_child(void)
{
	signals_hold();
	wait_forked();
	forks_after_in_parent();
	asynchronous_forked();
	pending_forked();
	descriptor_room_forked();
	descriptor_unprotect(log_descriptor());
	descriptor_unprotect(lending_door());
	descriptor_close_private();
	descriptor_protect(log_descriptor());
	descriptor_protect(lending_door());
	process_stack_forked();
	borrow_forked();
	signals_release();
}

/*
 * exit(3): after all handlers and destructors of the program and its libraries, which may still
 * use their connections; libc itself flushes the streams only after this.
 */
static void end(int status, void *unused)
{
	(void)status;
	(void)unused;
	stream_flush_all();
	process_stack_stop();
}

/* quick_exit(3), in the same way after the program's handlers. */
static void end_quickly(void)
{
	process_stack_stop();
}

/*
 * Handlers run in the reverse order of their registration. At this time, before the program's start
 * code runs, not even the one is registered that runs the destructors of all libraries: ours is the
 * last. One of on_exit(3) is not bound to this library, whose own destructors are among those.
 */
static void register_ends(void)
{
	on_exit(end, NULL);
	at_quick_exit(end_quickly);
}

/* What is below asks and tells what is above by these tables. */
static void register_parts(void)
{
	static const struct process_stack_users users = {
		.event = socket_event,
		.any_waiting = pending_any,
		.any_ever_waited = pending_was_any,
		.is_awaited_elsewhere = pending_is_awaited_elsewhere,
		.start_begins = pending_start_begins,
		.started = pending_start,
	};

	object_register(OBJECT_SOCKET, &socket_operations);
	object_register(OBJECT_EPOLL, &epoll_operations);
	process_stack_register(&users);
}

__attribute__((constructor)) static void begin(void)
{
	bool meant = origin_is_environment();

	libc_resolve();
	register_parts();
	/* Loaded into every program, it must not end every program for a typing error. */
	if (!config_load(meant ? "" : "; melin does nothing in this program") && meant)
		_exit(CONFIG_EXIT_STATUS);
	if (!config_active())
		return;
	clock_resolve();
	signals_begin();
	process_stack_process_begins();
	register_ends();
	if (config_get()->host)
		borrow_begin();
	descriptor_protect(log_descriptor());
	pthread_atfork(forks_before, forks_after_in_parent, forks_after_in_child);
}
