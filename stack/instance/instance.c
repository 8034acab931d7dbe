/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening, closing and polling an instance, and what every call into it has in common. Not for
 * sockets.
 */
#include "stack/instance/instance.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/acknowledge.h"
#include "stack/tcp/index.h"
#include "common/system_call.h"
#include "stack/ip/loop.h"
#include "stack/lwip/lwip_changes.h"
#include "stack/ip/network.h"
#include "stack/socket/report.h"
#include "stack/socket/socket.h"
#include "stack/tcp/timers.h"

/* Frames in one receive, as DPDK's drivers like them; and receives in one poll. */
#define BURST  32
#define BURSTS 4

/* What the device's pool is sized for. */
#define BUSY_CONNECTIONS 64

static void log_for_link(void *context, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void log_for_link(void *context, enum log_level level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	instance_log_line(context, level, format, arguments);
	va_end(arguments);
}

/* Called around every hold of the lock: preload keeps the program's signal handlers out of it. */
static void hold_signals(struct stack *stack)
{
	if (stack->callbacks.lock_enter)
		stack->callbacks.lock_enter();
}

static void release_signals(struct stack *stack)
{
	if (stack->callbacks.lock_leave)
		stack->callbacks.lock_leave();
}

int instance_lock(struct stack *stack)
{
	int status;

	hold_signals(stack);
	status = lock_acquire(&stack->lock);
	if (status)
		release_signals(stack);
	return status;
}

bool instance_try_lock(struct stack *stack)
{
	hold_signals(stack);
	if (lock_try(&stack->lock))
		return true;
	release_signals(stack);
	return false;
}

void instance_unlock(struct stack *stack)
{
	lock_release(&stack->lock);
	release_signals(stack);
}

int instance_enter(struct stack *stack)
{
	int status = instance_lock(stack);

	if (status == 0)
		clock_update(&stack->clock);
	return status;
}

static void flush(struct stack *stack)
{
	stack->transmit_waits = stack->link->operations->flush(stack->link) > 0;
	if (!stack->transmit_failed || stack->transmit_waits)
		return;
	/* There is room again: the connections that stopped go on. */
	stack->transmit_failed = false;
	tcp_txnow();
	stack->transmit_waits = stack->link->operations->flush(stack->link) > 0;
}

static void settle_here(void *argument)
{
	struct stack *stack = argument;

	loop_deliver(stack);
	timers_run(stack);
	loop_deliver(stack);
	if (stack->link)
		flush(stack);
	socket_report(stack);
}

/* What every call ends with, still under the lock. */
static void settle(struct stack *stack)
{
	call_stack_run(&stack->call_stack, settle_here, stack);
}

/* Wakes the background thread if it sleeps for longer than until deadline. */
static void unlock_and_wake(struct stack *stack, uint64_t deadline)
{
	bool late = background_is_late(stack, deadline);

	instance_unlock(stack);
	if (late)
		background_wake(stack);
}

void instance_leave_with_deadline(struct stack *stack, uint64_t *deadline)
{
	uint64_t next;

	settle(stack);
	next = timers_deadline(stack);
	if (deadline)
		*deadline = next;
	unlock_and_wake(stack, next);
}

void instance_leave(struct stack *stack)
{
	instance_leave_with_deadline(stack, NULL);
}

/* One look for frames. */
struct look {
	struct stack *stack;
	unsigned frames;
};

static void receive_here(void *argument)
{
	struct look *look = argument;
	struct stack *stack = look->stack;
	struct pbuf *frames[BURST];

	acknowledge_owed(stack);
	for (int i = 0; stack->link && i < BURSTS; i++) {
		unsigned count = stack->link->operations->receive(stack->link, frames, BURST);

		for (unsigned k = 0; k < count; k++)
			network_input(stack, frames[k]);
		look->frames += count;
		if (count < BURST)
			break;
	}
	if (look->frames)
		stack->background.last_frame = clock_update(&stack->clock);
}

unsigned instance_receive(struct stack *stack)
{
	struct look look = { .stack = stack };

	call_stack_run(&stack->call_stack, receive_here, &look);
	return look.frames;
}

static void attend_here(void *argument)
{
	struct stack *stack = argument;

	enum link_news news = stack->link->operations->attend(stack->link, &stack->info);

	if (news != LINK_SAME)
		network_link_changed(stack, news == LINK_ANEW);
}

void instance_attend(struct stack *stack)
{
	if (stack->link && stack->link->operations->attend)
		call_stack_run(&stack->call_stack, attend_here, stack);
}

static void poll_here(void *argument)
{
	struct look *look = argument;
	struct stack *stack = look->stack;
	uint64_t segments = stack->counters.loop_segments;

	receive_here(look);
	if (host_should_attend(stack))
		attend_here(stack);
	stack->counters.polls++;
	loop_deliver(stack);
	look->frames += (unsigned)(stack->counters.loop_segments - segments);
	settle_here(stack);
}

/* All on one visit to the instance's own call stack: who polls does this all the time. */
int instance_poll(struct stack *stack)
{
	struct look look = { .stack = stack };

	if (!instance_try_lock(stack))
		return -EBUSY;
	background_note_poll(stack, clock_update(&stack->clock));
	call_stack_run(&stack->call_stack, poll_here, &look);
	unlock_and_wake(stack, timers_deadline(stack));
	return (int)look.frames;
}

void instance_catch_up(struct stack *stack)
{
	if (instance_lock(stack) == 0)
		instance_unlock(stack);
}

static void read_counters(struct stack *stack, struct stack_counters *counters)
{
	struct link_counters link;

	*counters = stack->counters;
	counters->rx_segments = melin_tcp_counters.tcp.recv;
	counters->tx_segments = melin_tcp_counters.tcp.xmit;
	if (stack->link) {
		memset(&link, 0, sizeof(link));
		stack->link->operations->counters(stack->link, &link);
		counters->rx_frames = link.rx_frames;
		counters->rx_bytes = link.rx_bytes;
		counters->tx_frames = link.tx_frames;
		counters->tx_bytes = link.tx_bytes;
		counters->rx_drops += link.rx_drops;
		counters->tx_drops = link.tx_drops;
		counters->rx_bad_checksum = link.rx_bad_checksum;
	}
}

void instance_counters(struct stack *stack, struct stack_counters *counters)
{
	if (instance_lock(stack))
		return;
	read_counters(stack, counters);
	instance_unlock(stack);
}

static int check(const struct stack_config *config, struct reason *reason)
{
	if (melin_instance)
		return reason_set(reason, -EALREADY, "this copy of the stack runs already");
	if (config->device && config->address_count > STACK_ADDRESSES_MAX)
		return reason_set(reason, -EINVAL, "more than %d addresses", STACK_ADDRESSES_MAX);
	return 0;
}

int instance_check(const struct stack_config *config, struct reason *reason)
{
	int status = check(config, reason);

	if (status || (config->device && !strcmp(config->device, "loop")))
		return status;
	return link_check(config, reason);
}

static int open_link(struct stack *stack, const struct stack_config *config, struct reason *reason)
{
	struct link_config link = {
		.stack = config,
		.log = log_for_link,
		.path_changed = host_path_changed,
		.context = stack,
		.descriptors_begin = stack->callbacks.descriptors_begin,
		.descriptors_end = stack->callbacks.descriptors_end,
		.connections = BUSY_CONNECTIONS,
	};

	stack->info.wait_descriptor = -1;
	stack->host.borrows = !config->device;
	if (config->device && !strcmp(config->device, "loop"))
		return 0;
	return link_open(&link, &stack->link, &stack->info, reason);
}

/*
 * lwIP can be initialised once in a copy of the module. What an instance before this one has left
 * behind is let go of: one that was closed nothing, one that was abandoned by a forked child its
 * connections, which are the parent's, and its interfaces.
 */
static void start_lwip(void)
{
	static bool started;

	if (!started) {
		started = true;
		lwip_init();
		return;
	}
	tcp_active_pcbs = tcp_tw_pcbs = tcp_bound_pcbs = tcp_listen_pcbs.pcbs = NULL;
	while (netif_list)
		netif_remove(netif_list);
	memset(&melin_tcp_counters, 0, sizeof(melin_tcp_counters));
}

static void remove_interfaces(struct stack *stack)
{
	for (unsigned i = 0; i < stack->netif_count; i++)
		netif_remove(&stack->netifs[i]);
	if (stack->host.borrows)
		host_stop(stack);
	netif_remove(&stack->loop_netif);
}

int instance_open(const struct stack_config *config, const struct stack_callbacks *callbacks,
		  struct stack **result, struct reason *reason)
{
	struct stack *stack;
	int status = check(config, reason);

	if (status)
		return status;
	stack = calloc(1, sizeof(*stack));
	if (!stack)
		return reason_set(reason, -ENOMEM, "no memory");
	stack->callbacks = *callbacks;
	call_stack_open(&stack->call_stack);
	melin_instance = stack;
	clock_start(&stack->clock, callbacks->clock);
	status = index_start(&stack->index);
	if (status) {
		reason_set(reason, status, "no memory");
		goto failed;
	}
	status = random_start(&stack->random);
	if (status) {
		reason_set(reason, status, "no random numbers from the kernel: %s",
			   strerror(-status));
		goto failed;
	}
	status = open_link(stack, config, reason);
	if (status)
		goto failed;
	start_lwip();
	sysctl_read(&stack->sysctl);
	pressure_start(&stack->pressure, 0);
	loop_start(stack);
	timers_start(stack);
	status = network_start(stack, config, reason);
	if (status == 0) {
		/* The first frames go before there is another thread: the lock is not held here. */
		if (stack->link)
			stack->link->operations->flush(stack->link);
		status = background_start(stack, config->gives_up_rights);
		if (status)
			reason_set(reason, status, "no thread: %s", strerror(-status));
	}
	if (status == 0) {
		*result = stack;
		return 0;
	}
	remove_interfaces(stack);
	if (stack->link)
		stack->link->operations->close(stack->link);
failed:
	melin_instance = NULL;
	if (stack->index.connections)
		index_stop(&stack->index);
	call_stack_close(&stack->call_stack);
	free(stack);
	return status;
}

/* ---- the end ---- */

static void abort_connection(struct tcp_pcb *pcb, void *context)
{
	(void)context;
	if (socket_of(pcb))
		socket_detach(socket_of(pcb));
	tcp_abort(pcb); /* TIME_WAIT: silently */
}

/* Connections whose data or FIN is still on its way; FIN_WAIT_2 only waits for the peer. */
static void count_unfinished(struct tcp_pcb *pcb, void *context)
{
	unsigned *count = context;

	if (pcb->unsent || pcb->unacked || (pcb->flags & TF_CLOSEPEND))
		(*count)++;
}

/* Their memory stays: other threads may be on their way in with a handle. */
static void close_sockets(struct stack *stack)
{
	for (struct stack_socket *socket = stack->sockets; socket; socket = socket->next) {
		if (socket->owned)
			socket_end(socket);
	}
}

static void linger(struct stack *stack, unsigned linger_ms)
{
	const struct timespec pause = { .tv_nsec = 500000 };
	uint64_t end = clock_update(&stack->clock) + linger_ms * 1000000ull;

	for (;;) {
		unsigned unfinished = 0;

		instance_receive(stack);
		settle(stack);
		melin_index_for_each(count_unfinished, &unfinished);
		if (!unfinished || clock_update(&stack->clock) >= end)
			return;
		kernel_call(SYS_nanosleep, (long)&pause, 0, 0, 0);
	}
}

/* With the lock, which is never let go of again: other threads wait in their calls for the end. */
static void end_connections(struct stack *stack, unsigned linger_ms,
			    struct stack_counters *counters)
{
	stack->callbacks.event = NULL;
	close_sockets(stack);
	linger(stack, linger_ms);
	melin_index_for_each(abort_connection, NULL);
	settle(stack);
	read_counters(stack, counters);
}

void instance_say_farewell(struct stack *stack, unsigned linger_ms, struct stack_counters *counters)
{
	if (instance_enter(stack))
		return;
	end_connections(stack, linger_ms, counters);
	if (stack->link && stack->link->operations->leave)
		stack->link->operations->leave(stack->link);
}

void instance_close(struct stack *stack, unsigned linger_ms, struct stack_counters *counters)
{
	background_stop(stack);
	if (instance_enter(stack))
		return; /* exit() from a handler that interrupted the stack: nothing can be done */
	end_connections(stack, linger_ms, counters);
	loop_stop(stack);
	remove_interfaces(stack);
	if (stack->link)
		stack->link->operations->close(stack->link);
	index_stop(&stack->index);
	melin_instance = NULL;
}

void instance_abandon(struct stack *stack)
{
	background_abandon(stack);
	if (stack->link)
		stack->link->operations->abandon(stack->link);
	/* The memory stays: another thread of the parent may have held the lock in the middle. */
	melin_instance = NULL;
}
