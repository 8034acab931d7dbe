/* SPDX-License-Identifier: BSD-3-Clause */
/* See memif_guard.h. Stands in for what the driver imports, as overrides.c does. */
#include "dpdk/eal/memif_guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <rte_interrupts.h>

#include "dpdk/eal/imports.h"

/*
 * Protects net_memif's rings. Taken with the stack's lock held, or by DPDK's interrupt thread,
 * which holds none then; list_mutex comes after it.
 */
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

/* What DPDK has been told to call instead of one of the driver's functions. */
struct callback {
	const struct rte_intr_handle *handle;
	rte_intr_callback_fn function;
	void *argument;
	rte_intr_unregister_callback_fn removed;
	LIST_ENTRY(callback) every;
};

/* Protects the list. Nothing is called while it is held. */
static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, callback) callbacks;

void memif_guard_enter(void)
{
	pthread_mutex_lock(&guard);
}

void memif_guard_leave(void)
{
	pthread_mutex_unlock(&guard);
}

static void call_guarded(void *argument)
{
	const struct callback *callback = argument;

	memif_guard_enter();
	callback->function(callback->argument);
	memif_guard_leave();
}

static struct callback *find(const struct rte_intr_handle *handle, rte_intr_callback_fn function,
			     void *argument)
{
	struct callback *callback;

	pthread_mutex_lock(&list_mutex);
	LIST_FOREACH(callback, &callbacks, every)
		if (callback->handle == handle && callback->function == function &&
		    callback->argument == argument)
			break;
	pthread_mutex_unlock(&list_mutex);
	return callback;
}

static void forget(struct callback *callback)
{
	pthread_mutex_lock(&list_mutex);
	LIST_REMOVE(callback, every);
	pthread_mutex_unlock(&list_mutex);
	free(callback);
}

static int register_guarded(const struct rte_intr_handle *handle, rte_intr_callback_fn function,
			    void *argument)
{
	struct callback *callback = calloc(1, sizeof(*callback));
	int result;

	if (!callback)
		return -ENOMEM;
	callback->handle = handle;
	callback->function = function;
	callback->argument = argument;
	pthread_mutex_lock(&list_mutex);
	LIST_INSERT_HEAD(&callbacks, callback, every);
	pthread_mutex_unlock(&list_mutex);
	result = rte_intr_callback_register(handle, call_guarded, callback);
	if (result < 0)
		forget(callback);
	return result;
}

static int unregister_guarded(const struct rte_intr_handle *handle, rte_intr_callback_fn function,
			      void *argument)
{
	struct callback *callback = find(handle, function, argument);
	int result;

	if (!callback)
		return rte_intr_callback_unregister(handle, function, argument);
	result = rte_intr_callback_unregister(handle, call_guarded, callback);
	if (result > 0)
		forget(callback);
	return result;
}

static void removed_guarded(struct rte_intr_handle *handle, void *argument)
{
	struct callback *callback = argument;

	if (callback->removed)
		callback->removed(handle, callback->argument);
	forget(callback);
}

static int unregister_later_guarded(const struct rte_intr_handle *handle,
				    rte_intr_callback_fn function, void *argument,
				    rte_intr_unregister_callback_fn removed)
{
	struct callback *callback = find(handle, function, argument);

	if (!callback)
		return rte_intr_callback_unregister_pending(handle, function, argument, removed);
	callback->removed = removed;
	return rte_intr_callback_unregister_pending(handle, call_guarded, callback,
						    removed_guarded);
}

void memif_guard_prepare(const char *library)
{
	imports_replace(library, "rte_intr_callback_register", (void *)register_guarded);
	imports_replace(library, "rte_intr_callback_unregister", (void *)unregister_guarded);
	imports_replace(library, "rte_intr_callback_unregister_pending",
			(void *)unregister_later_guarded);
}
