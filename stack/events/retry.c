/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When TCP gives up: retry.h. The system's settings and the socket's options count
 * retransmissions; what they mean is the time that Linux's back-off needs for so many: 15
 * (tcp_retries2) are 924.6 s. A connection that no program holds any more gets 8 retransmissions.
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
/* Unanswered window probes of an orphan: lwIP sends one each 2.4 s, so about as long as above. */
#define ORPHAN_PROBES 42
/* The slow timer asks every TCP_SLOW_INTERVAL ms, a busy machine seldomer. */
#define NO_ROOM_GAP_NS (1000ull * 1000000)

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
static uint64_t without_room_ns(const struct tcp_pcb *pcb, struct stack_socket *socket)
{
	struct retry *retry = &socket->retry;
	uint64_t now = melin_clock_ns();

	if (now - retry->no_room_seen > NO_ROOM_GAP_NS || retry->no_room_ack != pcb->lastack) {
		retry->no_room_since = now;
		retry->no_room_ack = pcb->lastack;
	}
	retry->no_room_seen = now;
	return now - retry->no_room_since;
}

/*
 * Without TCP_USER_TIMEOUT a peer that answers probes with "no room yet" is alive for ever; lwIP
 * counts those unanswered.
 */
static unsigned probe_limit(struct tcp_pcb *pcb, struct stack_socket *socket)
{
	uint64_t silent;

	if (!socket) /* as Linux's tcp_out_of_resources() */
		return pressure_now() == PRESSURE_LIMIT ? GIVE_UP : ORPHAN_PROBES;
	if (user_timeout_ns(socket))
		return without_room_ns(pcb, socket) > user_timeout_ns(socket) ? GIVE_UP : GO_ON;
	if (pcb->persist_probe == 0)
		return GO_ON;
	silent = (uint64_t)(u32_t)(tcp_ticks - pcb->tmr) * TCP_SLOW_INTERVAL * 1000000;
	return silent > retries_ns(melin_instance->sysctl.retries, RTO_MIN_MS) ? GIVE_UP : GO_ON;
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
	if (pcb->persist_backoff)
		return probe_limit(pcb, socket);
	if (pcb->state == SYN_SENT || pcb->state == SYN_RCVD)
		return GO_ON; /* has its own limit; TCP_SYN_RCVD_TIMEOUT */
	if (!socket)
		return ORPHAN_RETRIES + 1;
	doubt_next_hop(pcb, socket);
	if (!socket->retry.since)
		return GO_ON;
	limit = user_timeout_ns(socket) ? user_timeout_ns(socket)
					: retries_ns(melin_instance->sysctl.retries, RTO_MIN_MS);
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
