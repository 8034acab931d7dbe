/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The beginning and the end of libmelin.so in a process, and what it does around a fork. Not for
 * the stack's start (process_stack.h).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/own_descriptor.h"
#include "preload/sockets/asynchronous.h"
#include "preload/process/lending.h"
#include "preload/sockets/borrow_process.h"
#include "preload/sockets/borrow_start.h"
#include "preload/libc/monotonic.h"
#include "preload/config/advice.h"
#include "preload/config/config.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/descriptors/descriptors.h"
#include "preload/lifecycle/forks.h"
#include "preload/process/process_stack.h"
#include "preload/process/status.h"
#include "preload/config/log.h"
#include "preload/config/origin.h"
#include "preload/sockets/pending.h"
#include "preload/sockets/socket_object.h"
#include "preload/libc/signals.h"
#include "preload/sockets/status_rows.h"
#include "preload/sockets/stream.h"
#include "preload/libc/symbols.h"
#include "preload/libc/thread.h"
#include "preload/waiting/epoll.h"
#include "preload/waiting/wait.h"

/*
 * The child has no thread but the one that forks. If another thread held a lock of melin's now,
 * nobody would release it in the child: so all of them are taken here.
 */
void forks_before(void)
{
	borrow_before_fork();
	process_stack_before_fork();
	pending_before_fork();
	stream_before_fork();
	wait_lock_acquire();
	asynchronous_before_fork();
	descriptor_before_fork();
	signals_before_fork();
}

void forks_after_in_parent(void)
{
	signals_after_fork();
	descriptor_after_fork();
	asynchronous_after_fork();
	wait_lock_release();
	stream_after_fork();
	pending_after_fork();
	process_stack_after_fork();
	borrow_after_fork();
}

/*
 * Signals are held until all of it is done: a call that a handler made before would go to the
 * parent's stack.
 */
void forks_after_in_child(void)
{
	signals_hold();
	signals_forked();
	wait_forked();
	thread_forked();
	forks_after_in_parent();
	asynchronous_forked();
	pending_forked();
	descriptor_room_forked();
	descriptor_unprotect(log_descriptor());
	descriptor_unprotect(lending_door());
	descriptor_close_private();
	descriptor_protect(log_descriptor());
	descriptor_protect(lending_door());
	log_forked();
	process_stack_forked();
	borrow_forked();
	/* These two close numbers that were the parent's: what is opened here is opened after. */
	status_forked();
	signals_release();
}

/* All connections are the kernel's since forks_before(), or were never known to a child. */
void forks_after_in_sharing_child(void)
{
	signals_hold();
	signals_forked();
	wait_forked();
	thread_forked();
	forks_after_in_parent();
	config_leave();
	descriptor_forget_all();
	atomic_store(&process_stack_current, NULL);
	signals_release();
}

/*
 * The end by exit(3). It runs after all handlers and destructors of the program and its libraries,
 * which may use their connections until then. libc flushes its streams even later, when there is no
 * stack any more: so they are flushed here.
 */
static void end(int status, void *unused)
{
	(void)status;
	(void)unused;
	if (!config_active())
		return;
	stream_flush_all();
	process_stack_stop();
}

/* The end by quick_exit(3), after the program's handlers as well. It flushes no streams. */
static void end_quickly(void)
{
	if (config_active())
		process_stack_stop();
}

/*
 * Handlers run in the reverse order of their registration. These are registered before the
 * program's start code runs, and so before the handler that runs the destructors of all libraries:
 * they are the last to run. on_exit(3) is used since atexit(3) would bind its handler to this
 * library, and run it with the library's own destructors.
 */
static void register_ends(void)
{
	on_exit(end, NULL);
	at_quick_exit(end_quickly);
}

/* The files that are below call those that are above them by these tables. */
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
	/*
	 * Where the library is loaded into every program (ld.so.preload) a typing error in a
	 * variable must not end every program.
	 */
	if (!config_load(meant ? "" : "; melin does nothing in this program") && meant)
		_exit(CONFIG_EXIT_STATUS);
	if (!config_active())
		return;
	clock_resolve();
	signals_begin();
	process_stack_process_begins();
	own_descriptors_tell(descriptor_told);
	status_begin();
	register_ends();
	if (config_get()->host)
		borrow_begin();
	else
		status_rows_begin();
	if (config_get()->host && config_get()->door)
		lending_inherit_door((int)config_get()->door);
	descriptor_protect(log_descriptor());
	log_calls_begin();
	pthread_atfork(forks_before, forks_after_in_parent, forks_after_in_child);
	advice_begins();
}
