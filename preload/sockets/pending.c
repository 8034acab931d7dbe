/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listeners before their first use in this process: the list of them, the thread that waits for the
 * device in their name, and what a fork means for them. Not for deciding which listeners are the
 * stack's (flow.c), nor for what happens to one of them (listener.c).
 */
#include "preload/sockets/pending.h"

#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "preload/libc/capabilities.h"
#include "preload/config/config.h"
#include "preload/sockets/listener.h"
#include "preload/config/log.h"
#include "preload/sockets/socket_object.h"
#include "preload/libc/signals.h"
#include "common/system_call.h"
#include "preload/libc/thread.h"

/* Protects the list of listeners that wait. Nothing that sleeps is called while it is held. */
static pthread_mutex_t pending_lock = PTHREAD_MUTEX_INITIALIZER;
static struct socket *pending;

_Atomic bool pending_unused;

static _Atomic bool was_any; /* whether there ever was one, here or in a parent */

/*
 * Held while listeners are given to the stack, so that a thread which comes second waits until all
 * of them listen. It is taken before pending_lock and the stack's own lock.
 */
static pthread_mutex_t listeners_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- the list ---- */

void pending_add(struct socket *socket)
{
	guarded_lock(&pending_lock);
	socket->listener.next_pending = pending;
	pending = socket;
	atomic_store(&pending_unused, true);
	guarded_unlock(&pending_lock);
	atomic_store_explicit(&was_any, true, memory_order_relaxed);
}

bool pending_was_any(void)
{
	return atomic_load_explicit(&was_any, memory_order_relaxed);
}

/* Takes a listener off the list. False: it is not there. */
static bool unlink_pending(struct socket *socket)
{
	struct socket **link;
	bool found;

	guarded_lock(&pending_lock);
	for (link = &pending; *link && *link != socket;)
		link = &(*link)->listener.next_pending;
	found = *link;
	if (found)
		*link = socket->listener.next_pending;
	guarded_unlock(&pending_lock);
	return found;
}

void pending_forget(struct socket *socket)
{
	unlink_pending(socket);
}

/* Takes the first listener that is not shared off the list. Returns a reference, or NULL. */
static struct socket *take_pending(void)
{
	struct socket **link = &pending, *socket;

	guarded_lock(&pending_lock);
	while (*link && atomic_load(&(*link)->listener.shared))
		link = &(*link)->listener.next_pending;
	socket = *link;
	atomic_store(&pending_unused, false);
	if (socket) {
		/* It still exists: a thread that closes it takes it off the list before. */
		object_get(&socket->object);
		*link = socket->listener.next_pending;
	}
	guarded_unlock(&pending_lock);
	return socket;
}

/* ---- to the stack or to the kernel ---- */

bool pending_leave(struct socket *socket, const char *option)
{
	if (config_get()->required || !unlink_pending(socket))
		return false;
	log_write(LOG_LEVEL_WARN,
		  "listen: %s is set, which only the kernel has; nobody answers at the stack's "
		  "addresses",
		  option);
	listener_give_up(socket, FLOW_LEFT_OPTION);
	return true;
}

void pending_start_begins(void)
{
	atomic_store(&pending_unused, false);
}

void pending_start(void)
{
	const struct instance *instance = process_stack_running();
	struct socket *socket;

	/* A thread that comes second may be about to connect to one of them. */
	guarded_lock(&listeners_lock);
	while (instance && (socket = take_pending())) {
		int result = listener_start(socket, instance);

		if (result < 0) {
			log_write(LOG_LEVEL_WARN, "listen: the stack cannot: %s",
				  strerror(-result));
			listener_give_up(socket, FLOW_LEFT_STACK);
		}
		socket_put(socket);
	}
	guarded_unlock(&listeners_lock);
}

/* ---- listeners that wait for another process to let go of the device ---- */

/* How often the device is tried again: a person who stops its owner hardly notices the delay. */
#define AWAIT_US 250000

static _Atomic bool awaiting; /* there is a thread that waits for the device */
static __thread bool is_awaiter __attribute__((tls_model("initial-exec")));

bool pending_is_awaited_elsewhere(void)
{
	return atomic_load(&awaiting) && !is_awaiter;
}

bool pending_any(void)
{
	bool any;

	guarded_lock(&pending_lock);
	any = pending != NULL;
	guarded_unlock(&pending_lock);
	return any;
}

/*
 * Whether some listener waits for the device. A shared one does not: this process may never use it.
 */
static bool any_awaiting(void)
{
	struct socket *socket;

	guarded_lock(&pending_lock);
	for (socket = pending; socket; socket = socket->listener.next_pending)
		if (atomic_load(&socket->state) == SOCKET_AWAITING &&
		    !atomic_load(&socket->listener.shared))
			break;
	guarded_unlock(&pending_lock);
	return socket != NULL;
}

static void *await_device(void *begun)
{
	const struct timespec pause = { .tv_nsec = AWAIT_US * 1000l };

	is_awaiter = true;
	capabilities_keep();
	sem_post(begun);
	do {
		while (kernel_call(SYS_nanosleep, (long)&pause, 0, 0, 0), any_awaiting()) {
			capabilities_use();
			pending_first_use_all();
		}
		atomic_store(&awaiting, false);
		/* One that came after the last look has found a thread, and relies on it. */
	} while (any_awaiting() && !atomic_exchange(&awaiting, true));
	return NULL;
}

/* When this returns the thread has its rights, whatever the caller gives up next. */
static void start_awaiting(void)
{
	sem_t begun;

	if (atomic_exchange(&awaiting, true))
		return;
	sem_init(&begun, 0, 0);
	if (thread_start(NULL, await_device, &begun) < 0)
		atomic_store(&awaiting, false);
	else
		while (sem_wait(&begun) < 0)
			; /* a signal handler has interrupted it */
	sem_destroy(&begun);
}

/*
 * The device is another process's: the listeners stay in the list, and their kernel halves serve.
 */
static void keep_pending(void)
{
	bool any = false;

	guarded_lock(&pending_lock);
	for (struct socket *socket = pending; socket; socket = socket->listener.next_pending) {
		if (atomic_load(&socket->listener.shared))
			continue; /* this process has not used it since the fork */
		any = true;
		listener_await(socket);
	}
	guarded_unlock(&pending_lock);
	if (any)
		start_awaiting();
}

/* ---- first use ---- */

void pending_first_use_all(void)
{
	struct socket *socket;

	if (process_stack_start()) {
		pending_start();
		return;
	}
	if (process_stack_is_busy()) {
		process_stack_tell_unanswered();
		keep_pending();
		return;
	}
	while ((socket = take_pending())) {
		listener_give_up(socket, FLOW_LEFT_STACK);
		socket_put(socket);
	}
}

void pending_first_use(struct socket *socket)
{
	if (listener_use(socket))
		pending_first_use_all();
}

void pending_use_here(void)
{
	guarded_lock(&pending_lock);
	for (struct socket *socket = pending; socket; socket = socket->listener.next_pending)
		listener_use(socket);
	guarded_unlock(&pending_lock);
}

/* ---- fork ---- */

static void share_listeners(void)
{
	struct socket *socket;

	for (int descriptor = 0; (socket = socket_get_next(&descriptor)); descriptor++) {
		listener_before_fork(socket);
		socket_put(socket);
	}
}

/* In the child the listeners go on waiting: its first use of one starts a stack of its own. */
void pending_before_fork(void)
{
	guarded_lock(&listeners_lock);
	share_listeners();
	guarded_lock(&pending_lock);
	/* A server that forks has children to serve: the next thing that blocks is no use of it. */
	atomic_store(&pending_unused, false);
}

void pending_after_fork(void)
{
	guarded_unlock(&pending_lock);
	guarded_unlock(&listeners_lock);
}

void pending_forked(void)
{
	atomic_store(&awaiting, false);
	guarded_lock(&pending_lock);
	for (struct socket *socket = pending; socket; socket = socket->listener.next_pending)
		listener_forked(socket);
	guarded_unlock(&pending_lock);
}
