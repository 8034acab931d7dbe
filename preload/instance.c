/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of the process's stack instance, and the summary line. Not for anything that happens
 * between start and stop.
 */
#include "instance.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "config.h"
#include "descriptors.h"
#include "log.h"
#include "pending.h"
#include "socket.h"
#include "signals.h"
#include "stack/kernel.h"
#include "symbols.h"
#include "thread.h"

_Atomic(const struct instance *) instance_current;

static struct instance instance;

/* Protects the start: instance, start_failed_at, start_error. Outermost of all locks. */
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t start_failed_at; /* nanoseconds, 0: not failed */
static int start_error;

/*
 * A start is under way: what it waits for must not ask for another. Set and cleared by the thread
 * that has start_lock; the clearing pairs with instance_is_starting().
 */
static _Atomic bool starting;

/*
 * The thread that ends the process (its pthread_t, never 0 in libc); 0: none does. It goes on
 * after instance_stop(), all others wait for the end.
 */
static _Atomic uintptr_t ender;

/* Which process this is. In a child by a system call that nobody saw, it is still the parent's. */
static pid_t process;

static _Atomic bool parents;
static _Atomic bool busy;
static _Atomic unsigned long flow_counts[FLOW_COUNTS];

/* A device that another process held is tried again after this long: its owner may have gone. */
#define RETRY_BUSY_NS (200ull * 1000 * 1000)

void flow_counted(enum flow_count which)
{
	atomic_fetch_add_explicit(&flow_counts[which], 1, memory_order_relaxed);
}

bool instance_is_parents(void)
{
	return atomic_load_explicit(&parents, memory_order_relaxed);
}

bool instance_is_starting(void)
{
	return atomic_load(&starting);
}

bool instance_is_busy(void)
{
	return atomic_load(&busy);
}

void instance_process_begins(void)
{
	process = (pid_t)kernel_call(SYS_getpid, 0, 0, 0, 0);
	atomic_store(&ender, 0);
}

bool instance_has_ended(void)
{
	return atomic_load(&ender) != 0;
}

/* A thread in a call while another ends the process: it does not come back, as over the kernel. */
static void wait_for_the_end(void)
{
	while (atomic_load(&ender) != (uintptr_t)pthread_self())
		kernel_call5(SYS_ppoll, 0, 0, 0, 0, 0);
}

static void log_from_stack(enum stack_log_level level, const char *message)
{
	log_write(level, "%s", message);
}

/* Installed: melin/melin-stack.so beside libmelin.so. In the build tree: beside it. */
static const struct stack_operations *load_module(char *directory, size_t size, char *why,
						  size_t why_size)
{
	static const char *const places[] = { "/melin", "" };
	const struct stack_operations *operations;
	char path[PATH_MAX];
	Dl_info info;
	void *module = NULL;
	char *slash;

	if (!dladdr((void *)load_module, &info) || !info.dli_fname ||
	    !(slash = strrchr(info.dli_fname, '/'))) {
		snprintf(why, why_size, "cannot tell where libmelin.so lies");
		return NULL;
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !module; i++) {
		snprintf(directory, size, "%.*s%s", (int)(slash - info.dli_fname), info.dli_fname,
			 places[i]);
		if (snprintf(path, sizeof(path), "%s/melin-stack.so", directory) >=
			    (int)sizeof(path) ||
		    access(path, F_OK) < 0)
			continue;
		module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (!module) {
			snprintf(why, why_size, "cannot load %s: %s", path, dlerror());
			return NULL;
		}
	}
	if (!module) {
		snprintf(why, why_size, "no melin-stack.so beside %s: is melin installed whole?",
			 info.dli_fname);
		return NULL;
	}
	operations = dlsym(module, "melin_stack_operations");
	if (!operations || operations->abi != STACK_ABI ||
	    operations->size != sizeof(*operations)) {
		snprintf(why, why_size, "%s is of another version than %s", path, info.dli_fname);
		return NULL;
	}
	return operations;
}

/* What a start gives back. */
struct attempt {
	int error;
	char why[512];
};

/*
 * On a thread of its own: the dynamic linker, DPDK and libbpf need far more of the stack than a
 * coroutine or a small thread of the program's may have.
 */
static void start(void *argument)
{
	struct attempt *attempt = argument;
	struct stack_config config = config_get()->stack;
	struct stack_callbacks callbacks = {
		.event = socket_event,
		.lock_enter = signals_hold,
		.lock_leave = signals_release,
		.log = log_from_stack,
		.log_level = config_get()->log_level,
		.clock = clock_of_libc,
	};
	static char directory[PATH_MAX]; /* start_lock; of the first try */

	if (!instance.operations)
		instance.operations = load_module(directory, sizeof(directory), attempt->why,
						  sizeof(attempt->why));
	if (!instance.operations) {
		attempt->error = -ELIBACC;
		return;
	}
	config.module_directory = directory;
	attempt->error = instance.operations->open(&config, &callbacks, &instance.stack,
						   attempt->why, sizeof(attempt->why));
}

const struct instance *instance_start(void)
{
	struct attempt attempt = { 0 };
	int error;

	if (instance_running())
		return instance_running();
	if (instance_has_ended())
		wait_for_the_end();
	if (instance_is_parents() || instance_has_ended())
		return NULL;
	guarded_lock(&start_lock);
	if (instance_running() ||
	    (start_failed_at &&
	     (start_error != -EBUSY || clock_monotonic() - start_failed_at < RETRY_BUSY_NS))) {
		guarded_unlock(&start_lock);
		return instance_running();
	}
	/* All listeners that wait are started below, and those that come meanwhile. */
	atomic_store(&pending_unused, false);
	/*
	 * The start blocks in interposed calls (libbpf's, DPDK's, those of the threads it makes).
	 * If one of them asked for a start, since another thread has called listen() meanwhile, it
	 * would wait for start_lock and this thread for it.
	 */
	atomic_store(&starting, true);
	descriptor_watch_begin();
	thread_run(start, &attempt);
	error = attempt.error;
	descriptor_watch_end();
	atomic_store(&starting, false); /* before pending_start() */
	atomic_store(&busy, error == -EBUSY);
	if (error == 0) {
		start_failed_at = 0;
		atomic_store_explicit(&instance_current, &instance, memory_order_release);
	} else {
		if (!start_failed_at || error != start_error)
			log_write(STACK_LOG_WARN, "%s: %s; %s", config_get()->stack.device,
				  attempt.why,
				  config_get()->required ? "selected flows fail"
							 : "its flows go to the kernel");
		start_failed_at = clock_monotonic();
		start_error = error;
	}
	guarded_unlock(&start_lock);
	if (error == 0)
		pending_start();
	return instance_running();
}

static void write_summary(const struct stack_counters *counters)
{
	log_write(STACK_LOG_INFO,
		  "summary: taken_connect=%lu taken_listen=%lu taken_accept=%lu left_rule=%lu "
		  "left_stack=%lu left_route=%lu rx_frames=%llu tx_frames=%llu rx_bytes=%llu "
		  "tx_bytes=%llu rx_segments=%llu tx_segments=%llu rx_payload=%llu tx_payload=%llu "
		  "retransmissions=%llu rx_drops=%llu tx_drops=%llu rx_bad_checksum=%llu "
		  "loop_segments=%llu polls=%llu sleeps=%llu",
		  flow_counts[FLOW_TAKEN_CONNECT], flow_counts[FLOW_TAKEN_LISTEN],
		  flow_counts[FLOW_TAKEN_ACCEPT], flow_counts[FLOW_LEFT_RULE],
		  flow_counts[FLOW_LEFT_STACK], flow_counts[FLOW_LEFT_ROUTE],
		  (unsigned long long)counters->rx_frames, (unsigned long long)counters->tx_frames,
		  (unsigned long long)counters->rx_bytes, (unsigned long long)counters->tx_bytes,
		  (unsigned long long)counters->rx_segments,
		  (unsigned long long)counters->tx_segments,
		  (unsigned long long)counters->rx_payload,
		  (unsigned long long)counters->tx_payload,
		  (unsigned long long)counters->retransmissions,
		  (unsigned long long)counters->rx_drops, (unsigned long long)counters->tx_drops,
		  (unsigned long long)counters->rx_bad_checksum,
		  (unsigned long long)counters->loop_segments, (unsigned long long)counters->polls,
		  (unsigned long long)counters->sleeps);
}

/*
 * The instance stays the running one: the stack lets the calls of other threads wait for the end
 * of the process, and what a call finds out without it is as it was.
 */
void instance_stop(void)
{
	const struct instance *running = instance_running();
	struct stack_counters counters = { 0 };
	unsigned long flows = 0;
	uintptr_t nobody = 0;

	/* A child that shares this memory (CLONE_VM) ends: its parent's flows go on. */
	if (kernel_call(SYS_getpid, 0, 0, 0, 0) != process)
		return;
	if (!atomic_compare_exchange_strong(&ender, &nobody, (uintptr_t)pthread_self())) {
		wait_for_the_end();
		return;
	}
	thread_process_ends();
	descriptor_unprotect_watched(); /* DPDK closes them by libc's names */
	if (running)
		running->operations->close(running->stack, config_get()->linger_ms, &counters);
	for (unsigned i = 0; i < FLOW_COUNTS; i++)
		flows += flow_counts[i];
	if (flows && log_enabled(STACK_LOG_INFO))
		write_summary(&counters);
}

void instance_before_fork(void)
{
	guarded_lock(&start_lock);
}

void instance_after_fork(void)
{
	guarded_unlock(&start_lock);
}

void instance_forked(void)
{
	const struct instance *running = atomic_exchange(&instance_current, NULL);

	instance_process_begins();
	for (unsigned i = 0; i < FLOW_COUNTS; i++)
		flow_counts[i] = 0;
	if (!running)
		return;
	atomic_store(&parents, true);
	running->operations->abandon(running->stack);
}
