/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of the process's stack instance, and the summary line. Not for anything that happens
 * between start and stop.
 */
#include "preload/process/process_stack.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "preload/config/address.h"
#include "preload/config/advice.h"
#include "preload/libc/capabilities.h"
#include "preload/libc/monotonic.h"
#include "preload/config/config.h"
#include "preload/descriptors/descriptor_room.h"
#include "preload/descriptors/descriptors.h"
#include "preload/process/keeper.h"
#include "preload/process/lending.h"
#include "preload/config/log.h"
#include "preload/libc/program_memory.h"
#include "preload/process/module.h"
#include "preload/libc/signals.h"
#include "common/system_call.h"
#include "preload/libc/symbols.h"
#include "preload/libc/thread.h"

_Atomic(const struct instance *) process_stack_current;

static const struct process_stack_users *users;

void process_stack_register(const struct process_stack_users *above)
{
	users = above;
}

static struct instance instance;

/*
 * Protects the start: instance, start_failed_at, start_error, forbidden, and who has a job for the
 * keeper's thread. Outermost of all locks.
 */
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t start_failed_at; /* nanoseconds, 0: not failed */
static int start_error;
static const char *forbidden; /* why no start may be tried any more, or NULL */

/*
 * A start is under way: what it waits for must not ask for another. Set and cleared by the thread
 * that has start_lock; the clearing pairs with process_stack_is_starting().
 */
static _Atomic bool starting;

/*
 * The thread that ends the process (its pthread_t, never 0 in libc); 0: none does. It goes on
 * after process_stack_stop(), all others wait for the end.
 */
static _Atomic uintptr_t ender;

/* Which process this is. In a child by a system call that nobody saw, it is still the parent's. */
static pid_t process;

static _Atomic bool parents;
static _Atomic bool busy;
static _Atomic bool failed; /* failed_for_good(), to be read without start_lock */
static _Atomic unsigned long flow_counts[FLOW_COUNTS];

/* A device that another process held is tried again after this long: its owner may have gone. */
#define RETRY_BUSY_NS (200ull * 1000 * 1000)

void flow_counted(enum flow_count which)
{
	atomic_fetch_add_explicit(&flow_counts[which], 1, memory_order_relaxed);
}

bool process_stack_is_parents(void)
{
	return atomic_load_explicit(&parents, memory_order_relaxed);
}

bool process_stack_is_starting(void)
{
	return atomic_load(&starting);
}

bool process_stack_is_busy(void)
{
	return atomic_load(&busy);
}

void process_stack_process_begins(void)
{
	process = (pid_t)kernel_call(SYS_getpid, 0, 0, 0, 0);
	atomic_store(&ender, 0);
}

bool process_stack_is_own(void)
{
	return process_stack_running() && kernel_call(SYS_getpid, 0, 0, 0, 0) == process;
}

bool process_stack_has_ended(void)
{
	return atomic_load(&ender) != 0;
}

/* A thread in a call while another ends the process: it does not come back, as over the kernel. */
static void wait_for_the_end(void)
{
	while (atomic_load(&ender) != (uintptr_t)pthread_self())
		kernel_call5(SYS_ppoll, 0, 0, 0, 0, 0);
}

static void log_from_stack(enum log_level level, const char *message)
{
	log_write(level, "%s", message);
}

/* What is opened in between is melin's own. */
static void descriptors_begin(void)
{
	descriptor_room_begin();
	descriptor_watch_begin();
}

static void descriptors_end(void)
{
	descriptor_watch_end();
	descriptor_room_end();
}

/* What a start gives back. */
struct attempt {
	int error;
	struct reason reason;
};

/* Host mode: the lender's packet socket is the stack's device. */
static bool open_tap(struct stack_config *config, struct attempt *attempt)
{
	const enum refusal refusal = lending_open();

	if (refusal) {
		attempt->error = reason_set(&attempt->reason,
					    refusal == REFUSAL_RIGHTS ? -EPERM : -EOPNOTSUPP, "%s",
					    refusal_text(refusal));
		return false;
	}
	config->tap = lender_tap(lending_lender());
	return true;
}

/*
 * On a thread of its own: the dynamic linker, DPDK and libbpf need far more of the stack than a
 * coroutine or a small thread of the program's may have.
 */
static void start(void *argument)
{
	struct attempt *attempt = argument;
	struct stack_config config = config_get()->stack;
	struct stack_callbacks callbacks = {
		.event = users->event,
		.lock_enter = signals_hold,
		.lock_leave = signals_release,
		.readable = memory_readable_bytes,
		.writable = memory_writable_bytes,
		.log = log_from_stack,
		.log_level = config_get()->log_level,
		.descriptors_begin = descriptors_begin,
		.descriptors_end = descriptors_end,
		.clock = clock_of_libc,
	};

	attempt->error = module_load(&instance.operations, &attempt->reason);
	if (attempt->error)
		return;
	config.module_directory = module_directory();
	config.gives_up_rights = capabilities_exceed_programs();
	config.tap = -1;
	if (config_get()->host && !open_tap(&config, attempt))
		return;
	attempt->error =
		instance.operations->open(&config, &callbacks, &instance.stack, &attempt->reason);
}

/* With start_lock: where the rights are that a start takes. */
static void attempt_with_rights(void (*function)(void *argument), struct attempt *attempt)
{
	if (!keeper_run(function, attempt))
		thread_run(function, attempt);
}

/* As start(), without the device. */
static void check(void *argument)
{
	struct attempt *attempt = argument;
	const struct stack_operations *operations;

	attempt->error = module_load(&operations, &attempt->reason);
	if (!attempt->error)
		attempt->error = operations->check(&config_get()->stack, &attempt->reason);
}

/* The stack's addresses as text, "198.18.0.10, fd00::10". */
static const char *own_addresses(char *text, size_t size)
{
	const struct stack_config *stack = &config_get()->stack;
	char address[ADDRESS_TEXT_SIZE];
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < stack->address_count && length < size; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "",
					   address_format(&stack->addresses[i], address));
	return text;
}

/* Whether a line has said so; whose listeners these are does not matter to whoever reads it. */
static _Atomic bool unanswered_told;

/* What follows from the failure of a start, for the line that tells of it. */
static const char *consequence(int error, bool listeners, char *text, size_t size)
{
	const bool required = config_get()->required;
	char addresses[STACK_ADDRESSES_MAX * ADDRESS_TEXT_SIZE];

	if (!listeners || !config_get()->stack.address_count)
		return required ? "selected flows fail" : "its flows go to the kernel";
	atomic_store(&unanswered_told, true);
	own_addresses(addresses, sizeof(addresses));
	snprintf(text, size, "%snobody answers at %s%s; %s", error == -EBUSY ? "meanwhile " : "",
		 addresses, error == -EBUSY ? " for this process" : "",
		 required ? "other selected flows fail" : "other flows go to the kernel");
	return text;
}

void process_stack_tell_unanswered(void)
{
	char addresses[STACK_ADDRESSES_MAX * ADDRESS_TEXT_SIZE];

	if (!config_get()->stack.address_count || atomic_exchange(&unanswered_told, true))
		return;
	log_write(LOG_LEVEL_WARN, "%s: without a stack, nobody answers at %s for this process",
		  config_get()->stack.device, own_addresses(addresses, sizeof(addresses)));
}

/* Each reason once; listeners: some are waiting for the stack. With start_lock. */
static void note_failure(int error, bool listeners, const char *reason)
{
	char text[STACK_ADDRESSES_MAX * ADDRESS_TEXT_SIZE + 100];

	if (!start_failed_at || error != start_error)
		log_write(LOG_LEVEL_WARN, "%s: %s; %s",
			  config_get()->host ? "no connection is borrowed"
					     : config_get()->stack.device,
			  reason, consequence(error, listeners, text, sizeof(text)));
	start_failed_at = clock_monotonic();
	start_error = error;
	atomic_store(&busy, error == -EBUSY);
	atomic_store(&failed, error != -EBUSY);
}

/* With start_lock: a reason that does not go away by itself has been found. */
static bool failed_for_good(void)
{
	return start_failed_at && start_error != -EBUSY;
}

bool process_stack_has_failed(void)
{
	return atomic_load_explicit(&failed, memory_order_relaxed);
}

bool process_stack_can_listen(void)
{
	struct attempt attempt = { 0 };
	bool can;

	if (process_stack_running())
		return true;
	if (process_stack_is_parents() || process_stack_has_ended())
		return false;
	guarded_lock(&start_lock);
	if (!failed_for_good()) {
		attempt_with_rights(check, &attempt);
		if (attempt.error && attempt.error != -EBUSY)
			note_failure(attempt.error, true, attempt.reason.text);
	}
	can = !failed_for_good();
	guarded_unlock(&start_lock);
	return can;
}

void process_stack_forbid(const char *why)
{
	if (process_stack_running())
		return;
	guarded_lock(&start_lock);
	forbidden = why;
	guarded_unlock(&start_lock);
}

void process_stack_keep_rights(void)
{
	if (process_stack_running() || process_stack_is_parents() || process_stack_has_ended())
		return;
	guarded_lock(&start_lock);
	if (!process_stack_running() && !failed_for_good() && !forbidden)
		keeper_begin();
	guarded_unlock(&start_lock);
}

void process_stack_end_keeping(void)
{
	guarded_lock(&start_lock);
	keeper_end_and_wait();
	guarded_unlock(&start_lock);
}

static void stop_by_signal(void);

const struct instance *process_stack_start(void)
{
	struct attempt attempt = { 0 };
	int error;

	if (process_stack_running())
		return process_stack_running();
	if (process_stack_has_ended())
		wait_for_the_end();
	if (process_stack_is_parents() || process_stack_has_ended() ||
	    (process_stack_is_busy() && users->is_awaited_elsewhere()))
		return NULL;
	guarded_lock(&start_lock);
	if (!process_stack_running() && !failed_for_good() && forbidden)
		note_failure(-EPERM, users->any_waiting(), forbidden);
	if (process_stack_running() || failed_for_good() ||
	    (start_failed_at && clock_monotonic() - start_failed_at < RETRY_BUSY_NS)) {
		guarded_unlock(&start_lock);
		return process_stack_running();
	}
	/* All listeners that wait are started below, and those that come meanwhile. */
	users->start_begins();
	/*
	 * The start blocks in interposed calls (libbpf's, DPDK's, those of the threads it makes).
	 * If one of them asked for a start, since another thread has called listen() meanwhile, it
	 * would wait for start_lock and this thread for it.
	 */
	atomic_store(&starting, true);
	descriptors_begin();
	attempt_with_rights(start, &attempt);
	error = attempt.error;
	if (error != -EBUSY)
		keeper_end(); /* no other start comes */
	descriptors_end();
	atomic_store(&starting, false); /* before started() */
	if (error == 0) {
		start_failed_at = 0;
		atomic_store(&busy, false);
		atomic_store_explicit(&process_stack_current, &instance, memory_order_release);
		signals_stand_in(stop_by_signal);
	} else {
		note_failure(error, users->any_waiting(), attempt.reason.text);
	}
	guarded_unlock(&start_lock);
	if (error == 0 && !config_get()->host) {
		advice_started();
		users->started();
	}
	return process_stack_running();
}

/* Host mode's part of the summary, " name=value" for each. */
static const char *host_counts(char *text, size_t size)
{
	static const char *const names[FLOW_COUNTS] = {
		[FLOW_BORROWED] = "borrowed=",
		[FLOW_RETURNED_CLOSED] = "returned_closed=",
		[FLOW_RETURNED_PEER] = "returned_peer=",
		[FLOW_RETURNED_PROCESS] = "returned_process=",
		[FLOW_RETURNED_CALL] = "returned_call=",
		[FLOW_RETURNED_PATH] = "returned_path=",
		[FLOW_RETURNED_LOSS] = "returned_loss=",
		[FLOW_RETURNED_BULK] = "returned_bulk=",
		[FLOW_RETURNED_IDLE] = "returned_idle=",
		[FLOW_RETURNED_RIGHTS] = "returned_rights=",
		[FLOW_RETURNED_CHANCE] = "returned_chance=",
		[FLOW_RETURNED_LOST] = "returned_lost=",
		[FLOW_KEPT_RULE] = "kept_rule=",
		[FLOW_KEPT_UNPAID] = "kept_unpaid=",
		[FLOW_KEPT_OPTION] = "kept_option=",
		[FLOW_KEPT_LOCAL] = "kept_local=",
		[FLOW_KEPT_PATH] = "kept_path=",
		[FLOW_KEPT_UNSEEN] = "kept_unseen=",
		[FLOW_KEPT_RIGHTS] = "kept_rights=",
		[FLOW_KEPT_STACK] = "kept_stack=",
	};
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; config_get()->host && i < FLOW_COUNTS && used < size; i++)
		if (names[i])
			used += (size_t)snprintf(text + used, size - used, " %s%lu", names[i],
						 flow_counts[i]);
	return text;
}

static void write_summary(const struct stack_counters *counters)
{
	char host[512];

	log_write(LOG_LEVEL_INFO,
		  "summary: taken_connect=%lu taken_listen=%lu taken_accept=%lu left_rule=%lu "
		  "left_stack=%lu left_route=%lu left_option=%lu rx_frames=%llu tx_frames=%llu "
		  "rx_bytes=%llu "
		  "tx_bytes=%llu rx_segments=%llu tx_segments=%llu rx_payload=%llu tx_payload=%llu "
		  "retransmissions=%llu rx_drops=%llu tx_drops=%llu rx_bad_checksum=%llu "
		  "loop_segments=%llu polls=%llu sleeps=%llu%s",
		  flow_counts[FLOW_TAKEN_CONNECT], flow_counts[FLOW_TAKEN_LISTEN],
		  flow_counts[FLOW_TAKEN_ACCEPT], flow_counts[FLOW_LEFT_RULE],
		  flow_counts[FLOW_LEFT_STACK], flow_counts[FLOW_LEFT_ROUTE],
		  flow_counts[FLOW_LEFT_OPTION], (unsigned long long)counters->rx_frames,
		  (unsigned long long)counters->tx_frames, (unsigned long long)counters->rx_bytes,
		  (unsigned long long)counters->tx_bytes, (unsigned long long)counters->rx_segments,
		  (unsigned long long)counters->tx_segments,
		  (unsigned long long)counters->rx_payload,
		  (unsigned long long)counters->tx_payload,
		  (unsigned long long)counters->retransmissions,
		  (unsigned long long)counters->rx_drops, (unsigned long long)counters->tx_drops,
		  (unsigned long long)counters->rx_bad_checksum,
		  (unsigned long long)counters->loop_segments, (unsigned long long)counters->polls,
		  (unsigned long long)counters->sleeps, host_counts(host, sizeof(host)));
}

/*
 * True for the one thread that ends the process. The instance stays the running one: the stack lets
 * the calls of other threads wait for the end of the process, and what a call finds out without it
 * is as it was.
 */
static bool begin_end(void)
{
	uintptr_t nobody = 0;

	/* A child that shares this memory (CLONE_VM) ends: its parent's flows go on. */
	if (kernel_call(SYS_getpid, 0, 0, 0, 0) != process)
		return false;
	if (atomic_compare_exchange_strong(&ender, &nobody, (uintptr_t)pthread_self()))
		return true;
	wait_for_the_end();
	return false;
}

static void sum_up(const struct stack_counters *counters)
{
	unsigned long flows = 0;

	for (unsigned i = 0; i < FLOW_COUNTS; i++)
		flows += flow_counts[i];
	if (flows && log_enabled(LOG_LEVEL_INFO))
		write_summary(counters);
}

void process_stack_stop(void)
{
	const struct instance *running = process_stack_running();
	struct stack_counters counters = { 0 };

	if (!begin_end())
		return;
	if (users->ending)
		users->ending(false);
	thread_process_ends();
	descriptor_unprotect_watched(); /* DPDK closes them by libc's names */
	/* Without a stack there is nothing to say to the kernel, which may allow little by now. */
	if (running) {
		descriptor_room_begin();
		running->operations->close(running->stack, config_get()->linger_ms, &counters);
		descriptor_room_end();
	}
	sum_up(&counters);
	if (config_get()->host)
		return;
	advice_end(flow_counts[FLOW_TAKEN_CONNECT] + flow_counts[FLOW_TAKEN_LISTEN] +
			   flow_counts[FLOW_TAKEN_ACCEPT],
		   flow_counts[FLOW_LEFT_STACK], users->any_ever_waited());
}

/* The same in a handler, before the process ends by its signal. */
static void stop_by_signal(void)
{
	const struct instance *running = process_stack_running();
	struct stack_counters counters = { 0 };

	if (!running || !begin_end())
		return;
	if (users->ending)
		users->ending(true);
	running->operations->farewell(running->stack, config_get()->linger_ms, &counters);
	sum_up(&counters);
}

void process_stack_before_fork(void)
{
	guarded_lock(&start_lock);
}

void process_stack_after_fork(void)
{
	guarded_unlock(&start_lock);
}

void process_stack_forked(void)
{
	const struct instance *running = atomic_exchange(&process_stack_current, NULL);

	process_stack_process_begins();
	keeper_forked();
	for (unsigned i = 0; i < FLOW_COUNTS; i++)
		flow_counts[i] = 0;
	advice_forked();
	if (!running)
		return;
	/* In host mode a child starts a stack of its own, when one of its connections pays. */
	atomic_store(&parents, !config_get()->host);
	running->operations->abandon(running->stack);
}
