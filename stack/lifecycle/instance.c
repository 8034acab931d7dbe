/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every call into an instance has in common, and polling: the lock, the look for frames, and
 * what is done before the lock is let go of. Not for sockets.
 */
#include "stack/lifecycle/instance.h"

#include <errno.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/acknowledge.h"
#include "stack/ip/loop.h"
#include "stack/ip/network.h"
#include "stack/socket/report.h"
#include "stack/socket/send_pair.h"
#include "stack/events/timers.h"

/* Frames in one receive, as DPDK's drivers like them; and receives in one poll. */
#define BURST  32
#define BURSTS 4

/* Around every hold of the lock, so that preload keeps the program's signal handlers out. */
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

/*
 * The lock, with preload's callbacks around it, which keep signal handlers out. 0, or -EDEADLK if
 * the calling thread has it already: a handler has interrupted the stack.
 */
static int instance_lock(struct stack *stack)
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
	/* There is room again: the connections that had to stop sending go on. */
	stack->transmit_failed = false;
	tcp_txnow();
	stack->transmit_waits = stack->link->operations->flush(stack->link) > 0;
}

/* A look for frames, and how many it has found. */
struct look {
	struct stack *stack;
	unsigned frames;
};

static void receive_frames(struct look *look)
{
	struct stack *stack = look->stack;
	struct pbuf *frames[BURST];

	for (int i = 0; stack->link && i < BURSTS; i++) {
		unsigned count = stack->link->operations->receive(stack->link, frames, BURST);

		for (unsigned k = 0; k < count; k++)
			network_input(stack, frames[k]);
		look->frames += count;
		if (count < BURST)
			break;
	}
	if (look->frames)
		stack->last_frame = clock_update(&stack->clock);
}

static void receive_here(void *argument)
{
	struct look *look = argument;

	acknowledge_owed(look->stack);
	receive_frames(look);
}

static void settle(struct stack *stack)
{
	loop_deliver(stack);
	timers_run(stack);
	loop_deliver(stack);
	if (stack->link)
		flush(stack);
	report_events(stack);
}

/*
 * A thread that comes to send something may have computed for long, and nobody may have looked for
 * frames meanwhile. What a connection waits for lies there then; the kernel, which interrupts, has
 * always seen it when one of its timers ends. Rare: a function of its own, since its array is on
 * the stack.
 */
__attribute__((noinline)) static void receive_before_timers(struct stack *stack)
{
	receive_frames(&(struct look){ .stack = stack });
}

static void settle_here(void *argument)
{
	struct stack *stack = argument;

	if (deadline_next(&stack->deadlines) <= melin_clock_ns())
		receive_before_timers(stack);
	settle(stack);
}

void instance_settle(struct stack *stack)
{
	call_stack_run(&stack->call_stack, settle_here, stack);
}

/* Wakes whoever sleeps for the instance, if it sleeps for longer than until deadline. */
static void unlock_and_wake(struct stack *stack, uint64_t deadline)
{
	bool late = wakeup_is_late(&stack->wakeup, deadline);

	instance_unlock(stack);
	if (late)
		wakeup_now(&stack->wakeup);
}

void instance_leave_with_deadline(struct stack *stack, uint64_t *deadline)
{
	uint64_t next;

	instance_settle(stack);
	next = timers_deadline(stack);
	if (deadline)
		*deadline = next;
	unlock_and_wake(stack, next);
}

void instance_leave(struct stack *stack)
{
	instance_leave_with_deadline(stack, NULL);
}

unsigned instance_receive(struct stack *stack)
{
	struct look look = { .stack = stack };

	call_stack_run(&stack->call_stack, receive_here, &look);
	return look.frames;
}

static void receive_early_here(void *argument)
{
	host_input_early(argument);
}

void instance_receive_early(struct stack *stack)
{
	if (stack->host.early.count)
		call_stack_run(&stack->call_stack, receive_early_here, stack);
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

	send_pair_release(stack);
	receive_here(look);
	if (host_should_attend(stack))
		attend_here(stack);
	stack->counters.polls++;
	loop_deliver(stack);
	look->frames += (unsigned)(stack->counters.loop_segments - segments);
	settle(stack);
}

/* All of it on one visit to the instance's own call stack, since some threads do nothing else. */
int instance_poll(struct stack *stack)
{
	struct look look = { .stack = stack };

	if (!instance_try_lock(stack))
		return -EBUSY;
	wakeup_note_poll(&stack->wakeup, clock_update(&stack->clock));
	call_stack_run(&stack->call_stack, poll_here, &look);
	unlock_and_wake(stack, timers_deadline(stack));
	return (int)look.frames;
}

void instance_catch_up(struct stack *stack)
{
	if (instance_lock(stack) == 0)
		instance_unlock(stack);
}

void instance_read_counters(struct stack *stack, struct stack_counters *counters)
{
	struct link_counters link;

	*counters = stack->counters;
	counters->rx_segments = melin_tcp_counters.tcp.recv;
	counters->tx_segments = melin_tcp_counters.tcp.xmit;
	counters->rx_drops = counters->rx_drops_foreign;
	counters->lock_spun = stack->lock.spun;
	counters->lock_slept = stack->lock.slept;
	if (stack->link) {
		memset(&link, 0, sizeof(link));
		stack->link->operations->counters(stack->link, &link);
		counters->rx_frames = link.rx_frames;
		counters->rx_bytes = link.rx_bytes;
		counters->tx_frames = link.tx_frames;
		counters->tx_bytes = link.tx_bytes;
		counters->rx_drops += link.rx_drops;
		counters->rx_drops_device = link.rx_drops_device;
		counters->rx_drops_memory = link.rx_drops_memory;
		counters->tx_drops = link.tx_drops;
		counters->rx_bad_checksum = link.rx_bad_checksum;
	}
}

void instance_counters(struct stack *stack, struct stack_counters *counters)
{
	if (instance_lock(stack))
		return;
	instance_read_counters(stack, counters);
	instance_unlock(stack);
}
