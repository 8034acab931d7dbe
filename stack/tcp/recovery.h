/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery from loss, in the place of lwIP's: RACK-TLP (RFC 8985) says what is lost, a scoreboard
 * in lwIP's segments what the peer holds (RFC 2018, RFC 2883), RFC 6298 when nothing else helps.
 * lwIP ignores selective acknowledgements, mends one hole for each timeout, and its timer ticks.
 * Peers without SACK get NewReno (RFC 6582) by the same means.
 *
 * It begins when a connection is established and belongs to its PCB: to the socket's while there is
 * one, and to itself after close(), when data may still be on its way. Handshakes are lwIP's.
 */
#ifndef MELIN_RECOVERY_H
#define MELIN_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/err.h"

#include "stack/tcp/congestion.h"
#include "stack/instance/deadline.h"
#include "stack/tcp/rack.h"
#include "stack/tcp/round_trip.h"
#include "stack/tcp/scoreboard.h"

struct stack_socket;
struct tcp_seg;
struct tcp_hdr;
struct tcp_pcb;

/* RFC 6298 2.5, and Linux's TCP_RTO_MAX */
#define RECOVERY_TIMEOUT_MAX_US 120000000u

enum recovery_state {
	RECOVERY_OPEN, /* nothing is known to be lost */
	RECOVERY_FAST, /* what is lost is sent again while acknowledgements come in */
	RECOVERY_LOSS, /* a timeout: all that is not acknowledged is taken for lost */
};

struct recovery {
	struct tcp_pcb *pcb; /* NULL: the connection is not established */
	enum recovery_state state : 8;
	/*
	 * A probe for room is being sent; and the last number before pcb->snd_nxt has only been
	 * borne by such probes, which, as Linux's, count neither as data nor as sent again.
	 */
	bool asks, has_asked;
	uint32_t end; /* the recovery ends when this is acknowledged; not in RECOVERY_OPEN */
	struct scoreboard scoreboard;
	struct rack rack;
	struct round_trip trip;
	struct congestion congestion;

	struct deadline timer;	/* for the next of these three, ns of the clock; 0: not running */
	uint64_t reorder_at_ns; /* RACK's: what may still be late now is taken for lost then */
	uint64_t probe_at_ns;	/* TLP's */
	uint64_t retransmit_at_ns;
	uint8_t backoff; /* doublings of the timeout */
	bool heard;	 /* an acknowledgement has brought news: the probe's time begins anew */
	bool probing;	 /* the tcp_output() that is under way sends a probe */
	bool may_be_spurious; /* RFC 5682: the last timeout may have been spurious */

	/* RFC 8985 7: whether a probe is on its way, whether it repeats data, and where it ends. */
	bool probe_out, probe_repeats;
	/* To find out that what was sent again was only late: D-SACK tells of each segment. */
	bool may_undo;
	bool is_orphans; /* the program has closed, and retry.c knows it */
	uint32_t probe_end;
	/* segments sent again that are not known to have come twice */
	uint32_t undo_segments;
	uint32_t undo_start, undo_end; /* those segments lie between these sequence numbers */

	/*
	 * While the peer's window is shut, for stack/events/retry.c: since when, when that was seen
	 * last, and pcb->lastack then. Times are in ms, and wrap.
	 */
	uint32_t no_room_since, no_room_seen, no_room_ack;
	uint32_t unanswered_since; /* the first timeout that nothing has come after; 0: none */

	uint32_t duplicates; /* duplicate acknowledgements in a row, of a peer without SACK */
	uint32_t sent_to;    /* snd_nxt after the last output */
};

/* The clock that no_room_since and its neighbours are read from. */
uint32_t recovery_clock_ms(void);

/* recovery_of(), in socket.h, finds that of a PCB. */

/*
 * The handshake is done. handshake_us: how long it took, 0: not known. lost: a segment of it was
 * sent again.
 */
void recovery_start(struct recovery *recovery, struct tcp_pcb *pcb, uint32_t handshake_us,
		    bool lost);
/*
 * All that is not acknowledged is about to be cut into other segments and sent again: forgets what
 * is known of the old ones.
 */
void recovery_forget(struct recovery *recovery);
/* The PCB is gone: stops the timer. */
void recovery_stop(struct recovery *recovery);
/*
 * The socket lets go of its PCB, which has still something to send: the PCB gets a recovery of its
 * own. Without memory for it lwIP's recovery is left.
 */
void recovery_hand_over(struct stack_socket *socket);

/* An acceptable segment with an acknowledgement has come; lwIP has not seen it yet. */
void recovery_acknowledged(struct recovery *recovery, const struct tcp_hdr *header,
			   uint32_t payload);
/* Sends again what is lost, as the window allows, and lets lwIP know how much new data may go. */
void recovery_before_output(struct recovery *recovery);
static inline bool recovery_has_lost(const struct recovery *recovery)
{
	return recovery->scoreboard.lost != 0;
}
/* Sets the timer if anything has changed. */
void recovery_after_output(struct recovery *recovery);
/*
 * lwIP has dealt with an acknowledgement, or its timer has ticked, and has changed the congestion
 * window and its own timer: both are set back to what recovery wants.
 */
void recovery_override(struct recovery *recovery);
/* The timeout as it is now, with back-off. */
static inline uint32_t recovery_timeout_us(const struct recovery *recovery)
{
	uint64_t timeout = (uint64_t)round_trip_timeout(&recovery->trip) << recovery->backoff;

	return timeout < RECOVERY_TIMEOUT_MAX_US ? (uint32_t)timeout : RECOVERY_TIMEOUT_MAX_US;
}

/*
 * Before a probe for room is sent, which bears what has this number; pcb->snd_nxt is as it was.
 * After it asks is false again.
 */
void recovery_ask(struct recovery *recovery, uint32_t number);

/* lwip_tcp_out.c: sends a segment of ->unacked again, in its place. */
err_t melin_lwip_retransmit(struct tcp_pcb *pcb, struct tcp_seg *segment);

#endif
