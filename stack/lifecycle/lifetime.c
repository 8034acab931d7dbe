/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The beginning and the end of an instance: open() and close() of stack.h, and what is left to do
 * in a process that ends by a signal, or that is a child of fork(). Not for what happens between.
 */
#include "stack/lifecycle/lifetime.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"

#include "common/own_descriptor.h"
#include "common/system_call.h"
#include "stack/lifecycle/background.h"
#include "stack/lifecycle/instance.h"
#include "stack/ip/loop.h"
#include "stack/ip/network.h"
#include "stack/socket/socket.h"
#include "stack/tcp/index.h"
#include "stack/events/timers.h"

/* ---- the end of its connections ---- */

static void abort_connection(struct tcp_pcb *pcb, void *context)
{
	(void)context;
	if (socket_of(pcb))
		pcb_detach(socket_of(pcb));
	tcp_abort(pcb); /* TIME_WAIT: silently */
}

/*
 * The part of the time to linger in which peers that have acknowledged everything may close, too.
 * A peer that is not scheduled at once would find a reset together with the last data, and many
 * programs ask poll(2) for an error before they read what has arrived.
 */
#define PEER_SHARE 8

struct unfinished {
	unsigned ours;	/* connections whose data or FIN is still on its way */
	unsigned peers; /* FIN_WAIT_2: only the peer's FIN is missing */
};

static void count_unfinished(struct tcp_pcb *pcb, void *context)
{
	struct unfinished *count = context;

	if (pcb->unsent || pcb->unacked || (pcb->flags & TF_CLOSEPEND))
		count->ours++;
	else if (pcb->state == FIN_WAIT_2)
		count->peers++;
}

/* The sockets' memory stays: another thread may be on its way in with a handle. */
static void close_sockets(struct stack *stack)
{
	struct stack_socket *socket;

	LIST_FOREACH(socket, &stack->sockets, every) {
		if (socket->owned)
			socket_end(socket);
	}
}

static void linger(struct stack *stack, unsigned linger_ms)
{
	const struct timespec pause = { .tv_nsec = 500000 };
	uint64_t begin = clock_update(&stack->clock), time = linger_ms * 1000000ull, passed;

	for (;;) {
		struct unfinished unfinished = { 0 };

		instance_receive(stack);
		instance_settle(stack);
		melin_index_for_each(count_unfinished, &unfinished);
		passed = clock_update(&stack->clock) - begin;
		if (passed >= (unfinished.ours ? time : unfinished.peers ? time / PEER_SHARE : 0))
			return;
		kernel_call(SYS_nanosleep, (long)&pause, 0, 0, 0);
	}
}

/*
 * Called with the lock, which is never let go of again: other threads wait in their calls until the
 * process ends.
 */
static void end_connections(struct stack *stack, unsigned linger_ms,
			    struct stack_counters *counters)
{
	stack->callbacks.event = NULL;
	close_sockets(stack);
	linger(stack, linger_ms);
	melin_index_for_each(abort_connection, NULL);
	instance_settle(stack);
	instance_read_counters(stack, counters);
}

static void say_farewell(struct stack *stack, unsigned linger_ms, struct stack_counters *counters)
{
	if (instance_enter(stack))
		return;
	end_connections(stack, linger_ms, counters);
	if (stack->link && stack->link->operations->leave)
		stack->link->operations->leave(stack->link);
}

/* ---- the beginning ---- */

/* How many connections with full windows the device's pool has buffers for. */
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

static void remove_interfaces(struct stack *stack)
{
	for (unsigned i = 0; i < stack->netif_count; i++)
		netif_remove(&stack->netifs[i]);
	if (stack->host.borrows)
		host_stop(stack);
	netif_remove(&stack->loop_netif);
}

static int check(const struct stack_config *config, struct reason *reason)
{
	if (melin_instance)
		return reason_set(reason, -EALREADY, "this copy of the stack runs already");
	if (config->device && config->address_count > STACK_ADDRESSES_MAX)
		return reason_set(reason, -EINVAL, "more than %d addresses", STACK_ADDRESSES_MAX);
	return 0;
}

int lifetime_check(const struct stack_config *config, struct reason *reason)
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

int lifetime_open(const struct stack_config *config, const struct stack_callbacks *callbacks,
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
	own_descriptors_tell(callbacks->own_descriptor);
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
		status = background_start(stack, config->gives_up_rights, say_farewell);
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

void lifetime_close(struct stack *stack, unsigned linger_ms, struct stack_counters *counters)
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

void lifetime_abandon(struct stack *stack)
{
	background_abandon(stack);
	if (stack->link)
		stack->link->operations->abandon(stack->link);
	/* The memory stays: another thread of the parent may have held the lock in the middle. */
	melin_instance = NULL;
}
