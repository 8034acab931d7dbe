/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When TCP gives up: retry.h. Linux's defaults: 15 retransmissions (tcp_retries2) are 924.6 s of
 * its back-off, 6 SYNs more are 127 s, a connection that no program holds any more gets 8
 * retransmissions.
 */
#include "stack/retry.h"

#include <stdbool.h>
#include <stdint.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/clock.h"
#include "stack/instance.h"
#include "stack/network.h"
#include "stack/socket.h"

#define GIVE_UP 0
#define GO_ON	0x100 /* nrtx and persist_probe have 8 bits */

#define RETRY_NS       (924600ull * 1000000)
#define SYN_RETRIES    6
#define DOUBT_AFTER    3
#define ORPHAN_RETRIES 8
/* Unanswered window probes of an orphan: lwIP sends one each 2.4 s, so about as long as above. */
#define ORPHAN_PROBES 42
/* The slow timer asks every TCP_SLOW_INTERVAL ms, a busy machine seldomer. */
#define NO_ROOM_GAP_NS (1000ull * 1000000)

static uint64_t user_timeout_ns(const struct stack_socket *socket)
{
	return (uint64_t)socket->options.user_timeout * 1000000;
}

/*
 * How long the peer has had no room. lwIP does not say when that ends: it is over when the peer has
 * taken something, or when nobody has asked for a while.
 */
static uint64_t without_room_ns(const struct tcp_pcb *pcb, struct stack_socket *socket)
{
	uint64_t now = melin_clock_ns();

	if (now - socket->no_room_seen > NO_ROOM_GAP_NS || socket->no_room_ack != pcb->lastack) {
		socket->no_room_since = now;
		socket->no_room_ack = pcb->lastack;
	}
	socket->no_room_seen = now;
	return now - socket->no_room_since;
}

/*
 * Without TCP_USER_TIMEOUT a peer that answers probes with "no room yet" is alive for ever; lwIP
 * counts those unanswered.
 */
static unsigned probe_limit(struct tcp_pcb *pcb, struct stack_socket *socket)
{
	uint64_t silent;

	if (!socket)
		return ORPHAN_PROBES;
	if (user_timeout_ns(socket))
		return without_room_ns(pcb, socket) > user_timeout_ns(socket) ? GIVE_UP : GO_ON;
	if (pcb->persist_probe == 0)
		return GO_ON;
	silent = (uint64_t)(u32_t)(tcp_ticks - pcb->tmr) * TCP_SLOW_INTERVAL * 1000000;
	return silent > RETRY_NS ? GIVE_UP : GO_ON;
}

/* As Linux after tcp_retries1: the next hop may have moved to other hardware (a fail-over). */
static void doubt_next_hop(const struct tcp_pcb *pcb, struct stack_socket *socket)
{
	if (pcb->nrtx < DOUBT_AFTER || pcb->nrtx == socket->doubted_at)
		return;
	socket->doubted_at = pcb->nrtx;
	network_doubt(melin_instance, &pcb->local_ip, &pcb->remote_ip);
}

unsigned melin_retry_limit(struct tcp_pcb *pcb)
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
	if (!socket->retry_since)
		return GO_ON;
	limit = user_timeout_ns(socket) ? user_timeout_ns(socket) : RETRY_NS;
	return melin_clock_ns() - socket->retry_since > limit ? GIVE_UP : GO_ON;
}

unsigned melin_syn_retry_limit(struct tcp_pcb *pcb)
{
	const struct stack_socket *socket = socket_of(pcb);
	const int second = 1000 / TCP_SLOW_INTERVAL;

	pcb->rto = (s16_t)(second << LWIP_MIN(pcb->nrtx, SYN_RETRIES));
	if (pcb->nrtx >= SYN_RETRIES && pcb->rtime + 1 >= pcb->rto)
		return GIVE_UP;
	if (socket && user_timeout_ns(socket) &&
	    melin_clock_ns() - socket->connect_since > user_timeout_ns(socket))
		return GIVE_UP;
	return GO_ON;
}
