/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When TCP gives up: retry.h. The system's settings and the socket's options count
 * retransmissions; what they mean is the time that Linux's back-off needs for so many: 15
 * (tcp_retries2) are 924.6 s. A connection that no program holds any more gets 8 retransmissions.
 *
 * A peer whose window is shut is probed, and is alive as long as it answers. lwIP sends a FIN
 * without data into a shut window, too, which peers drop that obey RFC 9293; that it is sent again
 * is such a probe.
 */
#include "stack/events/retry.h"

#include <stdbool.h>
#include <stdint.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/ip/network.h"
#include "stack/socket/socket.h"

#define GIVE_UP 0
#define GO_ON	0x100 /* nrtx and persist_probe have 8 bits */

/* Linux's TCP_RTO_MIN and TCP_RTO_MAX, from the first to the largest time-out of its model. */
#define RTO_MIN_MS 200
#define RTO_MAX_MS 120000
/* So many doublings make RTO_MAX_MS out of a second. */
#define SYN_DOUBLINGS_MAX 7
#define DOUBT_AFTER	  3
#define ORPHAN_RETRIES	  8
/*
 * What an orphan waits for room at most, though the peer answers: Linux's tcp_probe_timer() ends it
 * when the pause between two probes would be longer than RTO_MAX_MS, that is after so many.
 */
#define ORPHAN_PROBES 10
/* lwIP's between two probes, once it is the longest. */
#define PROBE_PAUSE_NS (2400ull * 1000000)
/* Linux's tcp_rtx_probe0_timed_out(): of a peer that has shut its window over what was sent. */
#define SHRUNK_SILENCE_NS (2ull * RTO_MAX_MS * 1000000)
/* The slow timer asks every TCP_SLOW_INTERVAL ms, a busy machine seldomer. */
#define NO_ROOM_GAP_MS 1000u

/* As Linux's tcp_model_timeout(): doubled until RTO_MAX, then linear. */
static uint64_t retries_ns(uint32_t retries, uint64_t rto_ms)
{
	uint64_t total = rto_ms;

	for (uint32_t i = 0; i < retries; i++) {
		rto_ms = LWIP_MIN(rto_ms * 2, RTO_MAX_MS);
		total += rto_ms;
	}
	return total * 1000000;
}

static uint64_t user_timeout_ns(const struct stack_socket *socket)
{
	return (uint64_t)socket->options.user_timeout * 1000000;
}

/*
 * How long the peer has had no room. lwIP does not tell when that ends; it has ended when the peer
 * has acknowledged something since, or when lwIP has not asked for a while.
 */
static uint64_t without_room_ns(const struct tcp_pcb *pcb)
{
	struct recovery *recovery = recovery_of(pcb);
	uint32_t now = recovery_clock_ms();

	if (!recovery)
		return 0;
	if (now - recovery->no_room_seen > NO_ROOM_GAP_MS ||
	    recovery->no_room_ack != pcb->lastack) {
		recovery->no_room_since = now;
		recovery->no_room_ack = pcb->lastack;
	}
	recovery->no_room_seen = now;
	return (now - recovery->no_room_since) * 1000000ull;
}

/* How long nothing has come from the peer. */
static uint64_t silent_ns(const struct tcp_pcb *pcb)
{
	return (uint64_t)(u32_t)(tcp_ticks - pcb->tmr) * TCP_SLOW_INTERVAL * 1000000;
}

/* A FIN is sent again and again because the peer has no room, and nothing else. */
static bool is_fin_without_room(const struct tcp_pcb *pcb)
{
	return pcb->state >= ESTABLISHED && pcb->snd_wnd == 0 && pcb->unacked &&
	       pcb->unacked->len == 0 && pcb->nrtx > 0;
}

/* How long probes have not been answered; 0: the last one was, or there was none. */
static uint64_t unanswered_ns(const struct tcp_pcb *pcb, const struct stack_socket *socket)
{
	const struct recovery *recovery = recovery_of(pcb);

	if (!pcb->persist_backoff)
		return recovery && recovery->unanswered_since
			       ? (uint32_t)(recovery_clock_ms() - recovery->unanswered_since + 1) *
					 1000000ull
			       : 0;
	/* Of an orphan lwIP does not note when something has come, but counts. */
	if (pcb->persist_probe == 0 || socket)
		return pcb->persist_probe ? silent_ns(pcb) : 0;
	return pcb->persist_probe * PROBE_PAUSE_NS;
}

/*
 * However long the peer had no room before the program closed, Linux ends the connection with its
 * next probe only, which is RTO_MAX_MS away at most: of the time before, all but that counts.
 */
static bool is_orphan_too_long(const struct tcp_pcb *pcb, uint64_t without_room)
{
	const uint64_t limit = retries_ns(ORPHAN_PROBES, RTO_MIN_MS);
	const uint32_t most = (uint32_t)(limit / 1000000) - RTO_MAX_MS;
	struct recovery *recovery = recovery_of(pcb);

	if (recovery && !recovery->is_orphans) {
		recovery->is_orphans = true;
		if (without_room / 1000000 > most)
			recovery->no_room_since = recovery_clock_ms() - most;
		return false;
	}
	return without_room > limit;
}

/*
 * Without TCP_USER_TIMEOUT a peer that answers probes with "no room yet" is alive for ever, but not
 * for an orphan.
 */
static bool is_probed_enough(const struct tcp_pcb *pcb, const struct stack_socket *socket)
{
	uint64_t without_room = without_room_ns(pcb);
	unsigned retries = socket ? melin_instance->sysctl.retries : ORPHAN_RETRIES;

	if (!socket && (pressure_now() == PRESSURE_LIMIT || /* as Linux's tcp_out_of_resources() */
			is_orphan_too_long(pcb, without_room)))
		return true;
	if (socket && user_timeout_ns(socket))
		return without_room > user_timeout_ns(socket);
	return unanswered_ns(pcb, socket) > retries_ns(retries, RTO_MIN_MS);
}

/* As Linux after tcp_retries1: the next hop may have moved to other hardware (a fail-over). */
static void doubt_next_hop(const struct tcp_pcb *pcb, struct stack_socket *socket)
{
	if (pcb->nrtx < DOUBT_AFTER || pcb->nrtx == socket->retry.doubted_at)
		return;
	socket->retry.doubted_at = pcb->nrtx;
	network_doubt(melin_instance, &pcb->local_ip, &pcb->remote_ip);
}

static unsigned limit_of(struct tcp_pcb *pcb)
{
	struct stack_socket *socket;
	uint64_t limit;

	if (pcb->nrtx == 0 && pcb->persist_backoff == 0)
		return GO_ON;
	socket = socket_of(pcb);
	if (pcb->persist_backoff || is_fin_without_room(pcb))
		return is_probed_enough(pcb, socket) ? GIVE_UP : GO_ON;
	if (pcb->state == SYN_SENT || pcb->state == SYN_RCVD)
		return GO_ON; /* has its own limit; TCP_SYN_RCVD_TIMEOUT */
	if (!socket)
		return ORPHAN_RETRIES + 1;
	doubt_next_hop(pcb, socket);
	if (!socket->retry.since)
		return GO_ON;
	if (user_timeout_ns(socket))
		limit = user_timeout_ns(socket);
	else if (pcb->snd_wnd)
		limit = retries_ns(melin_instance->sysctl.retries, RTO_MIN_MS);
	else if (silent_ns(pcb) > SHRUNK_SILENCE_NS)
		limit = SHRUNK_SILENCE_NS;
	else
		return GO_ON;
	return melin_clock_ns() - socket->retry.since > limit ? GIVE_UP : GO_ON;
}

unsigned melin_retry_limit(struct tcp_pcb *pcb)
{
	struct stack_socket *socket = socket_of(pcb);
	unsigned limit = limit_of(pcb);

	if (limit != GIVE_UP || !socket || !socket->is_borrowed)
		return limit;
	adopted_return(socket, STACK_RETURN_TIMEOUT);
	return GO_ON;
}

/*
 * Linux's tcp_retransmit_timer() and tcp_write_timeout(): before the back-off begins some SYNs are
 * a second apart. They come on top of the number of retries, but not of the time that it stands
 * for.
 */
unsigned melin_syn_retry_limit(struct tcp_pcb *pcb)
{
	const struct stack_socket *socket = socket_of(pcb);
	const int second = 1000 / TCP_SLOW_INTERVAL;
	unsigned linear = melin_instance->sysctl.syn_linear;
	unsigned retries = socket && socket->options.syn_retries
				   ? socket->options.syn_retries
				   : melin_instance->sysctl.syn_retries;
	unsigned doublings = pcb->nrtx > linear ? pcb->nrtx - linear : 0;
	uint64_t time = socket ? melin_clock_ns() - socket->handshake.since : 0;
	uint64_t user = socket ? user_timeout_ns(socket) : 0;

	pcb->rto = (s16_t)LWIP_MIN(second << LWIP_MIN(doublings, SYN_DOUBLINGS_MAX),
				   RTO_MAX_MS / TCP_SLOW_INTERVAL);
	if (user && time > user)
		return GIVE_UP;
	if (pcb->rtime + 1 < pcb->rto)
		return GO_ON;
	if (pcb->nrtx >= LWIP_MIN(retries + linear, UINT8_MAX)) /* nrtx has 8 bits */
		return GIVE_UP;
	/*
	 * One tick less, because a connect() that began between two ticks must not wait for one
	 * more SYN.
	 */
	return !user && time + TCP_SLOW_INTERVAL * 1000000ull >= retries_ns(retries, 1000) ? GIVE_UP
											   : GO_ON;
}
