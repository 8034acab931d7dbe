/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The timers: timers.h. lwIP's fast and slow TCP timers run only while connections are active (the
 * index parks the idle ones), TIME_WAIT is looked at once a second, neighbours too.
 */
#include "stack/events/timers.h"

#include "lwip/etharp.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/priv/tcp_priv.h"

#include "stack/tcp/index.h"
#include "stack/instance_parts.h"
#include "stack/ip/network.h"
#include "stack/tcp/path.h"
#include "stack/tcp/recovery.h"
#include "stack/socket/socket.h"

#define MS     1000000ull
#define SECOND (1000 * MS)
#define FAST   (TCP_FAST_INTERVAL * MS)
#define SLOW   (TCP_SLOW_INTERVAL * MS)

/* After a long pause: input first, so timers catch up a little at a time, not all at once. */
#define CATCH_UP 4

/*
 * How many connections a slow tick parks: 100,000 at once would be a 50 ms pause, but no fewer may
 * be than become active meanwhile.
 */
#define PARK_BUDGET 8192

/* Linux's: three ARP or ND probes, a second apart, and then EHOSTUNREACH. */
#define RESOLVE_TIMEOUT (3 * SECOND)

/* The pause when the device took nothing: its interrupt or its peer needs about so long. */
#define TRANSMIT_RETRY (200000ull)

void timers_start(struct stack *stack)
{
	uint64_t now = clock_update(&stack->clock);

	stack->next_fast = now + FAST;
	stack->next_slow = now + SLOW;
	stack->next_second = now + SECOND;
}

/* What our own sockets wait for, while lwIP's timer visits their connections anyway. */
static void visit_active(struct stack *stack, uint64_t now)
{
	struct tcp_pcb *next;

	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = next) {
		struct stack_socket *socket = socket_of(pcb);
		struct recovery *recovery = recovery_of(pcb);

		next = pcb->next;
		if (recovery)
			recovery_override(recovery);
		if (!socket)
			continue;
		if (socket->output.held_since)
			output_check_held(socket, now);
		if (socket->is_borrowed)
			adopted_check_idle(socket);
		if (socket->deferred)
			accept_queue_check_deferred(socket, now);
		if (socket->send_buffer.blocked) {
			socket->send_buffer.blocked = false;
			tcp_clear_flags(pcb, TF_NAGLEMEMERR);
			socket_changed(socket, EPOLLOUT | EPOLLWRNORM);
		}
		if (socket->state == SOCKET_SYN_SENT &&
		    now - socket->handshake.since > RESOLVE_TIMEOUT &&
		    !network_is_resolved(stack, &pcb->remote_ip)) {
			/* Without the socket the PCB's end reports nothing, and a SYN that was
			 * never sent needs no RST. */
			pcb_detach(socket);
			tcp_abandon(pcb, 0);
			socket_done(socket, EHOSTUNREACH);
		}
	}
}

static void slow_tick(struct stack *stack, uint64_t now)
{
	/* TIME_WAIT is long and its timer coarse: not every 20 ms. Nothing enters it meanwhile. */
	struct tcp_pcb *timewait = tcp_tw_pcbs;

	tcp_tw_pcbs = NULL;
	tcp_slowtmr();
	tcp_tw_pcbs = timewait;
	visit_active(stack, now);
	melin_index_park_idle(PARK_BUDGET);
}

/* A slice of the parked connections each time, until all of them have been looked at. */
static void wake_keepalive(struct stack *stack)
{
	if (!stack->keepalive_slices && melin_index_keepalive_is_due())
		stack->keepalive_slices = INDEX_SLICES;
	if (stack->keepalive_slices)
		melin_index_wake_keepalive(INDEX_SLICES - stack->keepalive_slices--);
}

static void second_tick(struct stack *stack, uint64_t now)
{
	struct tcp_pcb *active = tcp_active_pcbs;
	u32_t ticks = tcp_ticks;

	if (stack->link) {
		etharp_tmr();
		nd6_tmr();
		for (unsigned i = 0; i < SECOND / (MLD6_TMR_INTERVAL * MS); i++)
			mld6_tmr();
		path_expire(now);
	}
	if (tcp_tw_pcbs) {
		tcp_active_pcbs = NULL;
		tcp_slowtmr();
		tcp_active_pcbs = active;
		tcp_ticks = ticks; /* this call was none of the regular ones */
	}
}

void timers_run(struct stack *stack)
{
	uint64_t now = melin_clock_ns();

	deadline_run_due(&stack->deadlines, now);
	if (now >= stack->next_fast) {
		if (stack->index.counts.active)
			tcp_fasttmr();
		wake_keepalive(stack);
		stack->next_fast = now + FAST;
	}
	if (now >= stack->next_slow) {
		uint64_t due = (now - stack->next_slow) / SLOW + 1;
		uint64_t run = due < CATCH_UP ? due : CATCH_UP;

		stack->next_slow += due * SLOW;
		if (!stack->index.counts.active)
			run = 0;
		tcp_ticks += (u32_t)(due - run);
		while (run--)
			slow_tick(stack, now);
	}
	if (now >= stack->next_second) {
		second_tick(stack, now);
		stack->next_second = now + SECOND;
	}
}

static uint64_t regular_deadline(const struct stack *stack)
{
	if (stack->transmit_waits)
		return melin_clock_ns() + TRANSMIT_RETRY;
	if (stack->index.counts.active || stack->keepalive_slices)
		return stack->next_fast;
	if (stack->index.counts.timewait || stack->index.counts.parked || stack->link)
		return stack->next_second;
	return UINT64_MAX;
}

uint64_t timers_deadline(const struct stack *stack)
{
	uint64_t regular = regular_deadline(stack), next = deadline_next(&stack->deadlines);

	return LWIP_MIN(regular, next);
}
