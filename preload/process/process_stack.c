/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The start and the end of the process's stack, and the summary line. Not for what happens in
 * between.
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
#include "preload/process/start_limits.h"
#include "preload/libc/program_memory.h"
#include "preload/process/module.h"
#include "preload/libc/signals.h"
#include "common/system_call.h"
#include "preload/libc/thread.h"

_Atomic(const struct instance *) process_stack_current;

static const struct process_stack_users *users;

void process_stack_register(const struct process_stack_users *above)
{
	users = above;
}

static struct instance instance;

/*
 * Held while the stack starts. It protects instance and the three below, and lets one thread at a
 * time give the keeper's thread a job. It is taken before all other locks.
 */
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t start_failed_at; /* ns of CLOCK_MONOTONIC; 0: no start has failed */
static int start_error;
static const char *forbidden; /* why no start may be tried any more, or NULL */

/*
 * Whether a start is under way. What the start itself calls must not ask for another one. The
 * thread with start_lock sets and clears it; process_stack_is_starting() reads it without the lock.
 */
static _Atomic bool starting;

/*
 * The thread that ends the process, by its pthread_t, which is never 0 in libc; 0: none does yet.
 * That thread goes on after process_stack_stop(), and all others wait for the end.
 */
static _Atomic uintptr_t ender;

/*
 * The number of the process in which melin runs. A child that was made by a system call which melin
 * has not seen still has its parent's here.
 */
static pid_t process;

/* How many children there may be that share this memory, as far as melin has seen them begin. */
static _Atomic unsigned sharers;

static _Atomic bool parents;
static _Atomic bool busy;
static _Atomic bool failed; /* failed_for_good(), to be read without start_lock */

/* A start has been made, here or in a parent before the fork: what it took is still mapped. */
static _Atomic bool in_memory;

/* process_stack_fits_limits() has found enough. */
static _Atomic bool fitted;

/* How long after a failure a device that another process had is tried again: it may be free. */
#define RETRY_BUSY_NS (200ull * 1000 * 1000)

bool process_stack_is_parents(void)
{
	return atomic_load_explicit(&parents, memory_order_relaxed);
}

bool process_stack_is_starting(void)
{
	return atomic_load(&starting);
}

bool process_stack_is_in_memory(void)
{
	return atomic_load(&in_memory);
}

bool process_stack_is_busy(void)
{
	return atomic_load(&busy);
}

void process_stack_process_begins(void)
{
	process = (pid_t)kernel_call(SYS_getpid, 0, 0, 0, 0);
	atomic_store(&ender, 0);
	atomic_store(&sharers, 0);
	atomic_store(&fitted, false);
}

void process_stack_sharer_begins(void)
{
	atomic_fetch_add(&sharers, 1);
}

void process_stack_sharer_has_ended(void)
{
	atomic_fetch_sub(&sharers, 1);
}

bool process_stack_is_own(void)
{
	return process_stack_running() && kernel_call(SYS_getpid, 0, 0, 0, 0) == process;
}

bool process_stack_has_ended(void)
{
	return atomic_load(&ender) != 0;
}

/*
 * Another thread ends the process: the calling one does not return, as it would not from the
 * kernel.
 */
static void wait_for_the_end(void)
{
	while (atomic_load(&ender) != (uintptr_t)pthread_self())
		kernel_call5(SYS_ppoll, 0, 0, 0, 0, 0);
}

static void log_from_stack(enum log_level level, const char *message)
{
	log_write(level, "%s", message);
}

/* What start() and check() return. */
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
	config->rules = lender_open_rules(lending_lender());
	return true;
}

/*
 * The start itself. It runs on a thread of melin's, since the dynamic linker, DPDK and libbpf need
 * far more memory for their stack than a coroutine or a small thread of the program's may have.
 */
static void start(void *argument)
{
	struct attempt *attempt = argument;
	struct stack_config config = config_get()->stack;
	struct stack_callbacks callbacks = {
		.event = users->event,
		.lock_enter = wakes_hold,
		.lock_leave = wakes_release,
		.readable = memory_readable_bytes,
		.writable = memory_writable_bytes,
		.log = log_from_stack,
		.log_level = config_get()->log_level,
		.own_descriptor = descriptor_told,
		.descriptors_begin = descriptor_room_begin,
		.descriptors_end = descriptor_room_end,
		.clock = clock_of_libc,
	};

	attempt->error = module_load(&instance.operations, &attempt->reason);
	if (attempt->error)
		return;
	config.module_directory = module_directory();
	config.gives_up_rights = capabilities_exceed_programs();
	config.tap = config.rules = -1;
	if (config_get()->host && !open_tap(&config, attempt))
		return;
	attempt->error =
		instance.operations->open(&config, &callbacks, &instance.stack, &attempt->reason);
}

/*
 * Runs function(attempt) on a thread that has the rights which a start needs: the keeper's if there
 * is one. The caller has start_lock.
 */
static void attempt_with_rights(void (*function)(void *argument), struct attempt *attempt)
{
	if (!keeper_run(function, attempt))
		thread_run(function, attempt);
}

/* What can be said about a start without opening the device. */
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

/* Whether the log has said by now that nobody answers at the stack's addresses. */
static _Atomic bool unanswered_told;

/* What follows from the failure of a start: the end of the line that tells of it. */
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

/*
 * A start has failed: it is logged, if its error is not that of the last start. listeners: whether
 * some wait for the stack. The caller has start_lock.
 */
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
	atomic_store(&status_page->stack, STATUS_STACK_FAILED);
}

/* Whether a start has failed for a reason that will not go away. The caller has start_lock. */
static bool failed_for_good(void)
{
	return start_failed_at && start_error != -EBUSY;
}

bool process_stack_has_failed(void)
{
	return atomic_load_explicit(&failed, memory_order_relaxed) || process_stack_is_parents();
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

void process_stack_refuse(int error, const char *why)
{
	guarded_lock(&start_lock);
	if (!process_stack_running() && !start_failed_at)
		note_failure(error, users->any_waiting(), why);
	guarded_unlock(&start_lock);
}

bool process_stack_fits_limits(void)
{
	const char *why;

	/* A start under way has taken some by now, and a refusal would wait for its end. */
	if (process_stack_running() || atomic_load(&fitted) || process_stack_is_starting())
		return true;
	why = start_limits_too_low();
	if (!why) {
		atomic_store(&fitted, true);
		return true;
	}
	/* Another thread may have found enough a moment before. */
	if (atomic_load(&fitted) || process_stack_is_starting())
		return true;
	process_stack_refuse(-ENOMEM, why);
	return false;
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

/*
 * Whether a start is to be tried now. again: what was lacking at the last one is there. The caller
 * has start_lock.
 */
static bool may_start(bool again)
{
	if (process_stack_running() || (failed_for_good() && !again))
		return false;
	if (forbidden) {
		note_failure(-EPERM, users->any_waiting(), forbidden);
		return false;
	}
	return !process_stack_is_busy() || clock_monotonic() - start_failed_at >= RETRY_BUSY_NS;
}

static bool may_start_now(bool again)
{
	bool may;

	guarded_lock(&start_lock);
	may = may_start(again);
	guarded_unlock(&start_lock);
	return may;
}

static void open_lender(void *argument)
{
	enum refusal *refusal = argument;

	*refusal = lending_open();
}

/*
 * Host mode: without rights of its own the process may have to wait for a broker. That is done
 * before start_lock is taken, for which a fork of the program's, the installation of a filter and
 * others would have to wait as well; and on a thread of melin's, whose waits no signal begins anew.
 * False: there is none.
 */
static bool has_lender(void)
{
	enum refusal refusal = REFUSAL_NONE;

	if (!config_get()->host || lending_lender() || capabilities_may_lend())
		return true;
	signals_hold();
	descriptor_room_begin();
	thread_run(open_lender, &refusal);
	descriptor_room_end();
	if (refusal)
		process_stack_refuse(refusal == REFUSAL_RIGHTS ? -EPERM : -EOPNOTSUPP,
				     refusal_text(refusal));
	signals_release();
	return refusal == REFUSAL_NONE;
}

static const struct instance *start_or_retry(bool again)
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
	if (!may_start_now(again) || !has_lender())
		return process_stack_running();
	guarded_lock(&start_lock);
	if (!may_start(again)) {
		guarded_unlock(&start_lock);
		return process_stack_running();
	}
	/*
	 * The listeners that wait now, and those that come meanwhile, are given to the stack below.
	 */
	users->start_begins();
	/*
	 * libbpf, DPDK and the threads that they make call interposed functions that block. If
	 * another thread of the program has called listen() meanwhile, such a call would ask for a
	 * start; it would wait for start_lock then, and this thread for it.
	 */
	atomic_store(&starting, true);
	atomic_store(&in_memory, true);
	descriptor_room_begin();
	attempt_with_rights(start, &attempt);
	error = attempt.error;
	if (error != -EBUSY)
		keeper_end(); /* there will be no other start that takes its rights */
	descriptor_room_end();
	atomic_store(&starting, false); /* users->started() comes after this */
	if (error == 0) {
		start_failed_at = 0;
		atomic_store(&busy, false);
		atomic_store(&failed, false);
		atomic_store_explicit(&process_stack_current, &instance, memory_order_release);
		atomic_store(&status_page->stack, STATUS_STACK_RUNS);
		if (!config_get()->host || !status_is_filtered())
			signals_stand_in(stop_by_signal);
	} else {
		note_failure(error, users->any_waiting(), attempt.reason.text);
	}
	guarded_unlock(&start_lock);
	if (error == 0)
		lending_begin();
	if (error == 0 && config_get()->host)
		log_write(LOG_LEVEL_INFO, "connections can be borrowed from now on");
	if (error == 0 && !config_get()->host) {
		advice_started();
		users->started();
	}
	return process_stack_running();
}

/* Host mode's part of the summary, " name=value" for each. */
static const char *host_counts(char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = FLOW_BORROWED; config_get()->host && i < FLOW_COUNTS && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, " %s=%lu", status_flow_names[i],
					 flow_count_of(i));
	return text;
}

static void write_summary(const struct stack_counters *counters)
{
	char host[640];

	log_write(LOG_LEVEL_INFO,
		  "summary: taken_connect=%lu taken_listen=%lu taken_accept=%lu left_rule=%lu "
		  "left_stack=%lu left_route=%lu left_option=%lu rx_frames=%llu tx_frames=%llu "
		  "rx_bytes=%llu "
		  "tx_bytes=%llu rx_segments=%llu tx_segments=%llu rx_payload=%llu tx_payload=%llu "
		  "retransmissions=%llu rx_drops=%llu tx_drops=%llu rx_bad_checksum=%llu "
		  "loop_segments=%llu polls=%llu sleeps=%llu%s",
		  flow_count_of(FLOW_TAKEN_CONNECT), flow_count_of(FLOW_TAKEN_LISTEN),
		  flow_count_of(FLOW_TAKEN_ACCEPT), flow_count_of(FLOW_LEFT_RULE),
		  flow_count_of(FLOW_LEFT_STACK), flow_count_of(FLOW_LEFT_ROUTE),
		  flow_count_of(FLOW_LEFT_OPTION), (unsigned long long)counters->rx_frames,
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
 * True for the one thread that ends the process. process_stack_current stays as it is: the stack
 * keeps the calls of other threads until the process has ended, and what a call finds out without
 * asking the stack is the same as before.
 */
static bool begin_end(void)
{
	uintptr_t nobody = 0;

	/* The caller is a child that shares this memory (CLONE_VM). Its parent's flows go on. */
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
		flows += flow_count_of(i);
	if (flows && log_enabled(LOG_LEVEL_INFO))
		write_summary(counters);
}

void process_stack_stop(void)
{
	static _Atomic bool said; /* exit(3) and what it ends with both come by here */
	const struct instance *running = process_stack_running();
	struct stack_counters counters = { 0 };

	/*
	 * Behind a filter for system calls nothing is borrowed, and the stack ends with the
	 * process: no call is made that the program may have forbidden itself. Whether it is a
	 * child that ends, whose parent is to say this, takes such a call to know.
	 */
	if (config_get()->host && status_is_filtered()) {
		if (!atomic_load(&sharers) && !atomic_exchange(&said, true))
			sum_up(&counters);
		return;
	}
	if (!begin_end())
		return;
	if (users->ending)
		users->ending(false);
	thread_process_ends();
	if (running) {
		descriptor_room_begin();
		running->operations->close(running->stack, config_get()->linger_ms, &counters);
		descriptor_room_end();
	}
	sum_up(&counters);
	if (config_get()->host)
		return;
	advice_end(flow_count_of(FLOW_TAKEN_CONNECT) + flow_count_of(FLOW_TAKEN_LISTEN) +
			   flow_count_of(FLOW_TAKEN_ACCEPT),
		   flow_count_of(FLOW_LEFT_STACK), users->any_ever_waited());
}

/* The same in a signal handler, after which the signal ends the process. */
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

const struct instance *process_stack_start(void)
{
	return start_or_retry(false);
}

const struct instance *process_stack_start_again(void)
{
	return start_or_retry(true);
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
	advice_forked();
	if (!running)
		return;
	/* In host mode connections are the kernel's, and this process may borrow them as well. */
	atomic_store(&parents, !config_get()->host);
	running->operations->abandon(running->stack);
}
