/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery: recovery.h. When it begins and ends, what is sent again, and the three times that it
 * waits for. Linux's tcp_fastretrans_alert() and its helpers are what it is measured by.
 */
#include "stack/tcp/recovery.h"

#include <stdlib.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/socket_parts.h"

/*
 * RFC 8985 7.2: what a probe waits for beyond two round trips. A single segment's acknowledgement
 * may be delayed by the peer, which is given Linux's TCP_RTO_MIN; with more on their way it is
 * Linux's TCP_TIMEOUT_MIN_US; without a known round trip a second.
 */
#define PROBE_SINGLE_NS	 200000000ull
#define PROBE_ALLOWED_NS 2000000ull
#define PROBE_UNKNOWN_NS 1000000000ull
/* The pause after which a timeout is tried again, when the device still holds the first segment. */
#define BUSY_NS 1000000

#define DUPLICATE_THRESHOLD 3

static uint64_t now_us(void)
{
	return melin_clock_ns() / 1000;
}

uint32_t recovery_clock_ms(void)
{
	return (uint32_t)(melin_clock_ns() / 1000000);
}

/* ---- the timer ---- */

static uint64_t timeout_ns(const struct recovery *recovery)
{
	return recovery_timeout_us(recovery) * 1000ull;
}

/*
 * As late as Linux's timer at the latest: its time is rounded up to ticks, of which the one that is
 * under way does not count. Two round trips between neighbours and 2 ms are 4 to 8 ms with 250
 * ticks a second. A peer that needs a moment longer than 2 ms to answer, since it has less of the
 * processor than it wants, is usual, and would be sent for nothing what it has.
 */
static uint64_t in_ticks(uint64_t ns)
{
	const uint64_t tick = melin_instance->sysctl.tick_us * 1000ull;

	return ((ns + tick - 1) / tick + 1) * tick;
}

/*
 * RFC 8985 7.2: when to probe the peer, if its acknowledgement of the last segments does not come;
 * 0: not at all.
 */
static uint64_t probe_time(const struct recovery *recovery, uint64_t now)
{
	const struct tcp_pcb *pcb = recovery->pcb;
	uint64_t wait = PROBE_UNKNOWN_NS;

	if (recovery->state != RECOVERY_OPEN || recovery->probe_out ||
	    recovery->scoreboard.sacked || !(pcb->flags & TF_SACK))
		return 0;
	/* The timeout comes before a probe for a single segment unless round trips vary much. */
	if (!pcb->unacked->next && recovery->trip.deviation_us < PROBE_SINGLE_NS / 4000)
		return 0;
	if (recovery->trip.smoothed_us)
		wait = in_ticks(recovery->trip.smoothed_us * 2000ull +
				(pcb->unacked->next ? PROBE_ALLOWED_NS : PROBE_SINGLE_NS));
	return now + wait;
}

static void disarm(struct recovery *recovery)
{
	recovery->reorder_at_ns = recovery->probe_at_ns = recovery->retransmit_at_ns = 0;
	recovery->timer.due_ns = DEADLINE_NEVER;
}

static void arm(struct recovery *recovery)
{
	uint64_t now = melin_clock_ns();
	uint64_t at;

	if (!recovery->pcb->unacked) {
		recovery->heard = false;
		disarm(recovery);
		return;
	}
	if (!recovery->retransmit_at_ns)
		recovery->retransmit_at_ns = now + timeout_ns(recovery);
	if (recovery->heard)
		recovery->probe_at_ns = probe_time(recovery, now);
	recovery->heard = false;
	at = recovery->retransmit_at_ns;
	if (recovery->probe_at_ns && recovery->probe_at_ns < at)
		at = recovery->probe_at_ns;
	if (recovery->reorder_at_ns && recovery->reorder_at_ns < at)
		at = recovery->reorder_at_ns;
	deadline_set(&melin_instance->deadlines, &recovery->timer, at);
}

/* ---- what is lost ---- */

/* Of a borrowed connection: preload may give it back, since the kernel may mend the loss better. */
static void note_loss(const struct recovery *recovery, bool is_timeout)
{
	struct stack_socket *socket = socket_of(recovery->pcb);

	if (!socket || !socket->is_borrowed)
		return;
	adopted_count(is_timeout ? &socket->adopted.timeouts : &socket->adopted.recoveries);
	adopted_return(socket, STACK_RETURN_LOSS);
}

static void enter_fast(struct recovery *recovery, uint32_t acknowledged)
{
	const struct tcp_pcb *pcb = recovery->pcb;

	congestion_lost(&recovery->congestion, pcb->mss, pcb->snd_nxt - acknowledged);
	recovery->state = RECOVERY_FAST;
	recovery->end = pcb->snd_nxt;
	recovery->probe_out = false;
	recovery->may_undo = true;
	recovery->undo_segments = 0;
	note_loss(recovery, false);
}

/* Lets RACK mark what is lost. Returns whether that is more than before. */
static bool detect(struct recovery *recovery, uint32_t acknowledged, uint64_t now, bool was_open)
{
	uint32_t before = recovery->scoreboard.lost;

	recovery->reorder_at_ns = 0;
	if ((recovery->pcb->flags & TF_SACK) && (recovery->scoreboard.sacked || !was_open)) {
		uint32_t wait = rack_detect(recovery, acknowledged, now);

		if (wait)
			recovery->reorder_at_ns = (now + wait) * 1000;
	}
	if (recovery->scoreboard.lost && recovery->state == RECOVERY_OPEN)
		enter_fast(recovery, acknowledged);
	return recovery->scoreboard.lost > before;
}

static void undo(struct recovery *recovery)
{
	congestion_undo(&recovery->congestion);
	scoreboard_forget_lost(recovery);
	recovery->may_undo = false;
	recovery->may_be_spurious = false;
	recovery->state = RECOVERY_OPEN;
}

/* All that was on its way when the recovery began is acknowledged: ends the recovery. */
static void leave(struct recovery *recovery)
{
	if (recovery->state == RECOVERY_FAST)
		recovery->congestion.window = recovery->congestion.threshold;
	rack_recovered(&recovery->rack);
	recovery->state = RECOVERY_OPEN;
	if (recovery->may_undo && !recovery->undo_segments)
		undo(recovery); /* nothing had to be sent again */
}

/*
 * RFC 2883 4: when as many segments have come twice as were sent again, nothing had been lost. Only
 * those that recovery has sent again count, since networks repeat others, too.
 */
static void note_duplicate(struct recovery *recovery, struct delivery *delivery)
{
	uint32_t size = delivery->duplicate_end - delivery->duplicate_start;
	uint32_t segments = (size + recovery->pcb->mss - 1) / recovery->pcb->mss;

	if (!delivery->duplicate || !recovery->may_undo || !recovery->undo_segments ||
	    TCP_SEQ_LT(delivery->duplicate_start, recovery->undo_start) ||
	    TCP_SEQ_GT(delivery->duplicate_end, recovery->undo_end))
		return;
	delivery->was_late = true;
	recovery->undo_segments -= LWIP_MIN(segments, recovery->undo_segments);
	if (!recovery->undo_segments)
		undo(recovery);
}

static void note_again(struct recovery *recovery, const struct tcp_seg *segment)
{
	uint32_t start = segment_start(segment), end = segment_end(segment);

	if (!recovery->undo_segments || TCP_SEQ_LT(start, recovery->undo_start))
		recovery->undo_start = start;
	if (!recovery->undo_segments || TCP_SEQ_GT(end, recovery->undo_end))
		recovery->undo_end = end;
	recovery->undo_segments++;
}

/* RFC 8985 7.4.2: whether the probe has mended a loss that nobody else has seen. */
static void judge_probe(struct recovery *recovery, const struct delivery *delivery)
{
	if (!recovery->probe_out || TCP_SEQ_LT(delivery->acknowledged, recovery->probe_end))
		return;
	if (!recovery->probe_repeats || delivery->duplicate) {
		recovery->probe_out = false;
	} else if (TCP_SEQ_GT(delivery->acknowledged, recovery->probe_end)) {
		recovery->probe_out = false;
		congestion_lost(&recovery->congestion, recovery->pcb->mss,
				recovery->pcb->snd_nxt - delivery->acknowledged);
		recovery->congestion.window = recovery->congestion.threshold;
	} else if (!delivery->advanced && !delivery->sacked) {
		/*
		 * the peer has both, the segment and the probe that repeated it: nothing was lost
		 */
		recovery->probe_out = false;
	}
}

/* ---- a peer without SACK: RFC 6582 ---- */

static void mark_first_lost(struct recovery *recovery, uint32_t acknowledged)
{
	struct tcp_seg *segment = recovery->pcb->unacked;

	while (segment && TCP_SEQ_LEQ(segment_end(segment), acknowledged))
		segment = segment->next;
	if (segment)
		scoreboard_mark_lost(&recovery->scoreboard, segment);
}

static void count_acknowledged(struct recovery *recovery, struct delivery *delivery)
{
	uint32_t mss = recovery->pcb->mss;
	/* the first of these was missing, the others had arrived before */
	uint32_t arrived = delivery->bytes / mss;

	if (recovery->state == RECOVERY_OPEN ||
	    TCP_SEQ_GEQ(delivery->acknowledged, recovery->end)) {
		recovery->duplicates = 0;
		return;
	}
	arrived = LWIP_MIN(arrived ? arrived - 1 : 0, recovery->duplicates);
	recovery->duplicates -= arrived;
	delivery->bytes -= LWIP_MIN(delivery->bytes, arrived * mss);
	mark_first_lost(recovery, delivery->acknowledged);
}

static void count_duplicate(struct recovery *recovery, const struct tcp_hdr *header,
			    uint32_t payload, struct delivery *delivery)
{
	const struct tcp_pcb *pcb = recovery->pcb;

	if (delivery->advanced) {
		count_acknowledged(recovery, delivery);
		return;
	}
	if (payload || header->ackno != pcb->lastack || recovery->state == RECOVERY_LOSS ||
	    (u32_t)SND_WND_SCALE(pcb, header->wnd) != pcb->snd_wnd ||
	    recovery->duplicates * pcb->mss >= pcb->snd_nxt - pcb->lastack)
		return;
	recovery->duplicates++;
	delivery->bytes = pcb->mss;
	if (recovery->duplicates == DUPLICATE_THRESHOLD && recovery->state == RECOVERY_OPEN)
		mark_first_lost(recovery, delivery->acknowledged);
}

/* ---- acknowledgements ---- */

/*
 * Whether the congestion window is what limits the sender: RFC 7661, as Linux's
 * tcp_is_cwnd_limited(). A window that is not used up says nothing about the path, and does not
 * grow; otherwise it would reach a hundred megabytes where the peer's window is the limit.
 */
static bool is_limited(const struct recovery *recovery)
{
	uint32_t flight = recovery->pcb->snd_nxt - recovery->pcb->lastack;
	const struct congestion *congestion = &recovery->congestion;

	if (congestion->window < congestion->threshold)
		return congestion->window < 2 * flight;
	return flight + recovery->pcb->mss >= congestion->window;
}

static void measure(struct recovery *recovery, const struct delivery *delivery)
{
	/*
	 * Karn's algorithm: nobody knows which sending of a repeated segment is answered, and the
	 * others that are acknowledged with it may have waited for it.
	 */
	if (!delivery->measured || delivery->again)
		return;
	round_trip_measured(&recovery->trip, delivery->oldest_us, delivery->least_us,
			    delivery->now_us);
	congestion_round_trip(&recovery->congestion, recovery->pcb->mss, delivery->least_us,
			      recovery->trip.least_us, delivery->acknowledged,
			      recovery->pcb->snd_nxt);
}

static void adjust_window(struct recovery *recovery, const struct delivery *delivery, bool lost,
			  bool limited)
{
	if (recovery->state == RECOVERY_FAST)
		congestion_recover(&recovery->congestion, recovery->pcb->mss, delivery->bytes,
				   scoreboard_pipe(recovery, delivery->acknowledged),
				   delivery->advanced && !lost);
	else if (limited && delivery->bytes)
		congestion_acknowledged(&recovery->congestion, recovery->pcb->mss, delivery->bytes,
					delivery->now_us, recovery->trip.least_us);
}

/*
 * lwIP sends a FIN into a shut window, where the peer drops it; Linux waits until there is room.
 * When that comes it is time, however far the pauses have been doubled.
 */
static void send_fin_into_room(struct recovery *recovery, const struct tcp_hdr *header)
{
	const struct tcp_pcb *pcb = recovery->pcb;

	if (pcb->snd_wnd || !header->wnd || pcb->unacked->len)
		return;
	recovery->backoff = 0;
	recovery->retransmit_at_ns = 0;
	recovery->heard = true;
	if (!(pcb->unacked->flags & SEGMENT_LOST))
		scoreboard_mark_lost(&recovery->scoreboard, pcb->unacked);
}

void recovery_acknowledged(struct recovery *recovery, const struct tcp_hdr *header,
			   uint32_t payload)
{
	struct tcp_pcb *pcb = recovery->pcb;
	struct delivery delivery = { .acknowledged = pcb->lastack };
	bool limited, lost, was_open = recovery->state == RECOVERY_OPEN;

	recovery->unanswered_since = 0;
	pcb->dupacks = 0; /* lwIP's own fast retransmit never starts, */
	pcb->rttest = 0;  /* nor does it measure */
	if (header->ackno == pcb->snd_nxt)
		recovery->has_asked = false; /* the peer has taken it */
	if (!pcb->unacked || (TCPH_FLAGS(header) & (TCP_SYN | TCP_RST)))
		return;
	if (TCP_SEQ_GT(header->ackno, pcb->lastack)) {
		delivery.advanced = true;
		delivery.acknowledged = header->ackno;
	}
	limited = is_limited(recovery);
	delivery.now_us = now_us();
	scoreboard_note(recovery, header, &delivery);
	if (!(pcb->flags & TF_SACK))
		count_duplicate(recovery, header, payload, &delivery);
	measure(recovery, &delivery);
	if (delivery.advanced) {
		recovery->backoff = 0;
		recovery->retransmit_at_ns = 0;
	}
	if (!delivery.advanced)
		send_fin_into_room(recovery, header);
	recovery->heard |= delivery.advanced || delivery.sacked;
	judge_probe(recovery, &delivery);
	if (recovery->state == RECOVERY_LOSS && recovery->may_be_spurious && delivery.original &&
	    (pcb->flags & TF_SACK))
		/*
		 * RFC 5682: what arrives was sent before the timeout, which was therefore spurious
		 */
		undo(recovery);
	if (recovery->state != RECOVERY_OPEN && TCP_SEQ_GEQ(delivery.acknowledged, recovery->end))
		leave(recovery);
	note_duplicate(recovery, &delivery);
	rack_adapt(recovery, &delivery);
	lost = detect(recovery, delivery.acknowledged, delivery.now_us, was_open);
	adjust_window(recovery, &delivery, lost, limited);
}

void recovery_override(struct recovery *recovery)
{
	struct tcp_pcb *pcb = recovery->pcb;

	pcb->cwnd = recovery->congestion.window;
	pcb->ssthresh = recovery->congestion.threshold;
	if (pcb->unacked)
		pcb->rtime = 0;
}

/* ---- sending ---- */

static void send_lost(struct recovery *recovery)
{
	struct tcp_pcb *pcb = recovery->pcb;
	struct congestion *congestion = &recovery->congestion;
	uint32_t pipe = scoreboard_pipe(recovery, pcb->lastack);
	struct tcp_seg *segment = pcb->unacked;

	for (; segment && recovery->scoreboard.lost; segment = segment->next) {
		uint32_t size = TCP_TCPLEN(segment);

		if (!(segment->flags & SEGMENT_LOST))
			continue;
		if (pipe && pipe + size > congestion->window)
			break;
		if (melin_lwip_retransmit(pcb, segment) != ERR_OK)
			break;
		scoreboard_unmark_lost(&recovery->scoreboard, segment);
		congestion->sent += size;
		note_again(recovery, segment);
		pipe += size;
	}
}

/* Nothing is marked: what is not acknowledged is on its way, as lwIP believes. */
static bool is_quiet(const struct recovery *recovery)
{
	return !(recovery->scoreboard.sacked | recovery->scoreboard.lost | recovery->duplicates) &&
	       !recovery->probing;
}

static void prepare_output(struct recovery *recovery)
{
	struct tcp_pcb *pcb = recovery->pcb;
	uint32_t window = recovery->congestion.window;
	uint32_t out, pipe;

	if (recovery->scoreboard.lost)
		send_lost(recovery);
	out = pcb->snd_nxt - pcb->lastack;
	pipe = scoreboard_pipe(recovery, pcb->lastack);
	pcb->cwnd = out + (window > pipe ? window - pipe : 0);
	if (recovery->probing && pcb->unsent)
		pcb->cwnd = LWIP_MAX(pcb->cwnd, out + pcb->unsent->len);
}

void recovery_before_output(struct recovery *recovery)
{
	if (is_quiet(recovery))
		recovery->pcb->cwnd = recovery->congestion.window;
	else
		prepare_output(recovery);
}

void recovery_after_output(struct recovery *recovery)
{
	struct tcp_pcb *pcb = recovery->pcb;
	uint32_t sent = pcb->snd_nxt - recovery->sent_to;

	recovery->sent_to = pcb->snd_nxt;
	pcb->cwnd = recovery->congestion.window;
	recovery->congestion.sent += sent;
	/* A probe of a shut window may have been numbered already, and it is sent only now. */
	if (sent || (pcb->unacked && !recovery->retransmit_at_ns))
		recovery->heard = true;
	if (recovery->heard)
		arm(recovery);
}

void recovery_ask(struct recovery *recovery, uint32_t number)
{
	recovery->asks = true;
	/* What was sent before the window shut stays what it is. */
	recovery->has_asked |= number == recovery->pcb->snd_nxt;
}

/* ---- what the timer is for ---- */

/* RFC 8985 7.3: new data if there is any, else the last segment once more. */
static void send_probe(struct recovery *recovery)
{
	struct tcp_pcb *pcb = recovery->pcb;
	uint32_t next = pcb->snd_nxt;
	struct tcp_seg *last = pcb->unacked;

	recovery->probe_at_ns = 0;
	recovery->probing = true;
	tcp_output(pcb);
	recovery->probing = false;
	recovery->probe_repeats = pcb->snd_nxt == next;
	if (recovery->probe_repeats) {
		while (last->next)
			last = last->next;
		if (melin_lwip_retransmit(pcb, last) != ERR_OK)
			return;
	}
	recovery->probe_out = true;
	recovery->probe_end = pcb->snd_nxt;
	recovery->probe_at_ns = 0;
}

/* A timeout takes for lost all that has not arrived, except what RACK would still wait for. */
static void mark_all_lost(struct recovery *recovery, uint64_t now)
{
	struct tcp_seg *first = recovery->pcb->unacked;

	if (first->flags & SEGMENT_SACKED)
		scoreboard_forget_sacked(recovery);
	for (struct tcp_seg *segment = first; segment; segment = segment->next) {
		if (segment->flags & SEGMENT_SACKED)
			continue;
		if (segment != first && recovery->rack.known &&
		    segment_sent_us(segment, now) + recovery->trip.smoothed_us > now)
			continue;
		scoreboard_mark_lost(&recovery->scoreboard, segment);
	}
}

/* RFC 6298 5.4 to 5.7, RFC 5681 (4) */
static void time_out(struct recovery *recovery, uint64_t now)
{
	struct tcp_pcb *pcb = recovery->pcb;

	if (pcb->unacked->p->ref != 1) { /* as lwIP's tcp_output_segment_busy() */
		recovery->retransmit_at_ns = melin_clock_ns() + BUSY_NS;
		return;
	}
	if (recovery->state != RECOVERY_LOSS) {
		congestion_lost(&recovery->congestion, pcb->mss, pcb->snd_nxt - pcb->lastack);
		recovery->may_undo = true;
		recovery->undo_segments = 0;
		recovery->may_be_spurious = true;
	}
	recovery->state = RECOVERY_LOSS;
	recovery->end = pcb->snd_nxt;
	recovery->duplicates = 0;
	recovery->probe_out = false;
	recovery->congestion.window = pcb->mss;
	mark_all_lost(recovery, now);
	if (recovery_timeout_us(recovery) < RECOVERY_TIMEOUT_MAX_US)
		recovery->backoff++;
	if (pcb->nrtx < UINT8_MAX)
		pcb->nrtx++;
	if (!recovery->unanswered_since)
		recovery->unanswered_since = recovery_clock_ms() | 1;
	note_loss(recovery, true);
	recovery->retransmit_at_ns = melin_clock_ns() + timeout_ns(recovery);
	tcp_output(pcb);
}

/* The reordering window is over: what might have been late only is lost now. */
static void look_again(struct recovery *recovery)
{
	struct delivery nothing = { .acknowledged = recovery->pcb->lastack };

	if (detect(recovery, nothing.acknowledged, now_us(), false))
		adjust_window(recovery, &nothing, true, false);
	tcp_output(recovery->pcb);
}

static void run(struct deadline *deadline)
{
	struct recovery *recovery =
		(struct recovery *)((char *)deadline - offsetof(struct recovery, timer));
	uint64_t now = melin_clock_ns();

	if (!recovery->pcb->unacked) {
		disarm(recovery);
		return;
	}
	if (recovery->reorder_at_ns && recovery->reorder_at_ns <= now)
		look_again(recovery);
	else if (recovery->retransmit_at_ns <= now)
		time_out(recovery, now_us());
	else if (recovery->probe_at_ns && recovery->probe_at_ns <= now)
		send_probe(recovery);
	arm(recovery);
}

/* ---- life ---- */

void recovery_start(struct recovery *recovery, struct tcp_pcb *pcb, uint32_t handshake_us,
		    bool lost)
{
	*recovery = (struct recovery){ .pcb = pcb, .end = pcb->lastack, .sent_to = pcb->snd_nxt };
	deadline_start(&recovery->timer, run);
	rack_start(&recovery->rack);
	congestion_start(&recovery->congestion, pcb->mss, lost);
	if (!lost && handshake_us)
		round_trip_measured(&recovery->trip, handshake_us, handshake_us, now_us());
	/*
	 * lwIP's timer is set back with each tick, so that its own timeout of a second never comes.
	 */
	pcb->sa = 0;
	pcb->sv = pcb->rto = LWIP_TCP_RTO_TIME / TCP_SLOW_INTERVAL;
	recovery_override(recovery);
}

void recovery_forget(struct recovery *recovery)
{
	for (struct tcp_seg *segment = recovery->pcb->unacked; segment; segment = segment->next)
		segment->flags &= (u8_t) ~(SEGMENT_SACKED | SEGMENT_LOST);
	recovery->scoreboard = (struct scoreboard){ 0 };
	recovery->duplicates = 0;
	recovery->state = RECOVERY_OPEN;
	recovery->probe_out = false;
	recovery->may_undo = false;
	recovery->reorder_at_ns = 0;
}

void recovery_stop(struct recovery *recovery)
{
	if (melin_instance)
		deadline_remove(&melin_instance->deadlines, &recovery->timer);
	recovery->pcb = NULL;
}

static void destroyed(u8_t id, void *data)
{
	(void)id;
	recovery_stop(data);
	free(data);
}

static const struct tcp_ext_arg_callbacks own_callbacks = { .destroy = destroyed };

void recovery_hand_over(struct stack_socket *socket)
{
	struct recovery *from = &socket->recovery;
	struct tcp_pcb *pcb = from->pcb;
	struct recovery *recovery;

	if (!pcb)
		return;
	recovery = malloc(sizeof(*recovery));
	if (recovery) {
		recovery_stop(from);
		*recovery = *from;
		recovery->pcb = pcb;
		deadline_start(&recovery->timer, run);
		pcb->ext_args[EXTRA_RECOVERY].data = recovery;
		pcb->ext_args[EXTRA_RECOVERY].callbacks = &own_callbacks;
		arm(recovery);
	}
}
