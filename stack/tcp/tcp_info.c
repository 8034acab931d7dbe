/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP_INFO: what lwIP's PCB and our own counts say, in Linux's units. Fields that nothing here
 * measures stay 0.
 */
#include <linux/tcp.h>
#include <stddef.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/instance_parts.h"
#include "stack/tcp/tcp_info.h"

#include "stack/socket_parts.h"
#include "stack/tcp/timestamps.h"

/* What Linux 6.18 tells behind the end of the structure that the headers of 6.1 know. */
struct info {
	struct tcp_info known;
	uint32_t rcv_wnd;
	uint32_t rehash;
	uint16_t total_rto, total_rto_recoveries;
	uint32_t total_rto_time;
	uint32_t accurate_ecn[8]; /* nothing of it is negotiated */
};
#define INFO_KNOWN (offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof(uint32_t))

/* Linux's TCP_INFINITE_SSTHRESH, TCP_FASTRETRANS_THRESH and TCP_INIT_CWND */
#define SSTHRESH_INFINITE 0x7fffffff
#define REORDERING	  3
#define INITIAL_WINDOW	  10

void info_note_received(struct stack_socket *socket, const struct tcp_pcb *pcb, uint32_t size)
{
	uint32_t segment = timestamps_full_segment(pcb);

	/* Links put segments together; a division is for these only. */
	if (size)
		socket->info.data_in += size <= segment ? 1 : (size + segment - 1) / segment;
}

void info_note_sent(struct stack_socket *socket, const struct tcp_pcb *pcb, uint32_t sequence,
		    uint32_t size, bool again)
{
	struct info_counts *info = &socket->info;

	if (!size)
		return;
	info->data_out++;
	info->bytes_out += size;
	if (again) {
		info->bytes_again += size;
	} else if (sequence == pcb->lastack) {
		info->flight_since = info->rate_since = melin_clock_ns();
		info->rate_acked = socket->info.bytes_acked;
	}
}

/*
 * As Linux's tcp_rate_gen(), more simply: what was acknowledged within a round trip, or until all
 * was, by the time that it took.
 */
void info_note_acknowledged(struct stack_socket *socket, const struct tcp_pcb *pcb)
{
	struct info_counts *info = &socket->info;
	uint64_t now = melin_clock_ns(), time;
	bool all = pcb->lastack == pcb->snd_nxt;

	if (!info->rate_since)
		return;
	time = now - info->rate_since;
	if (time && (all || time >= (uint64_t)socket->recovery.trip.smoothed_us * 1000)) {
		info->rate_bytes = socket->info.bytes_acked - info->rate_acked;
		info->rate_time = time;
		info->rate_limited = all;
		info->rate_since = now;
		info->rate_acked = socket->info.bytes_acked;
	}
	if (!all)
		return;
	info->busy += now - info->flight_since;
	info->flight_since = info->rate_since = 0;
}

/* Linux's include/net/tcp_states.h */
enum linux_tcp_state {
	LINUX_ESTABLISHED = 1,
	LINUX_SYN_SENT,
	LINUX_SYN_RECV,
	LINUX_FIN_WAIT1,
	LINUX_FIN_WAIT2,
	LINUX_TIME_WAIT,
	LINUX_CLOSE,
	LINUX_CLOSE_WAIT,
	LINUX_LAST_ACK,
	LINUX_LISTEN,
	LINUX_CLOSING,
};

static enum linux_tcp_state linux_state(const struct stack_socket *socket)
{
	static const enum linux_tcp_state states[] = {
		[CLOSED] = LINUX_CLOSE,
		[LISTEN] = LINUX_LISTEN,
		[SYN_SENT] = LINUX_SYN_SENT,
		[SYN_RCVD] = LINUX_SYN_RECV,
		[ESTABLISHED] = LINUX_ESTABLISHED,
		[FIN_WAIT_1] = LINUX_FIN_WAIT1,
		[FIN_WAIT_2] = LINUX_FIN_WAIT2,
		[CLOSE_WAIT] = LINUX_CLOSE_WAIT,
		[CLOSING] = LINUX_CLOSING,
		[LAST_ACK] = LINUX_LAST_ACK,
		[TIME_WAIT] = LINUX_CLOSE, /* Linux's socket is closed then */
	};

	return socket->pcb ? states[socket->pcb->state] : LINUX_CLOSE;
}

static uint32_t since(uint64_t ms)
{
	return (uint32_t)(melin_clock_ns() / 1000000 - ms);
}

/* Segments with something to acknowledge that were sent and are not acknowledged yet. */
static uint32_t unacknowledged(const struct stack_socket *socket, const struct tcp_pcb *pcb)
{
	const struct tcp_seg *segment;
	uint32_t segments = 0;

	for (segment = pcb->unacked; segment; segment = segment->next)
		segments++;
	/* After a time-out lwIP has put them back. */
	for (segment = pcb->unsent; segment; segment = segment->next) {
		if (TCP_SEQ_GEQ(lwip_ntohl(segment->tcphdr->seqno),
				pcb->snd_nxt - socket->recovery.has_asked))
			break;
		segments++;
	}
	return segments;
}

static struct info_last now_of(const struct stack_socket *socket)
{
	const struct tcp_pcb *pcb = socket->pcb;
	const bool scales = pcb->flags & TF_WND_SCALE;

	return (struct info_last){
		.options = (uint8_t)((timestamps_are_used(pcb) ? TCPI_OPT_TIMESTAMPS : 0) |
				     (pcb->flags & TF_SACK ? TCPI_OPT_SACK : 0) |
				     (scales ? TCPI_OPT_WSCALE : 0)),
		.send_scale = scales ? pcb->snd_scale & 15 : 0,
		.receive_scale = scales ? pcb->rcv_scale & 15 : 0,
		.segment = timestamps_full_segment(pcb),
		/* The last sockets go with the instance. */
		.mtu = melin_instance ? (uint16_t)path_mtu_of(socket) : 0,
		.send_window = pcb->snd_wnd,
		.receive_window = pcb->rcv_wnd,
		.announced = pcb->rcv_ann_wnd,
	};
}

void info_note_begin(struct stack_socket *socket)
{
	struct info_counts *info = &socket->info;

	info->flight_since = info->rate_since = info->rate_acked = 0;
}

void info_note_end(struct stack_socket *socket)
{
	struct info_counts *info = &socket->info;

	if (info->flight_since)
		info->busy += melin_clock_ns() - info->flight_since;
	info_note_begin(socket);
	if (socket->pcb->state != LISTEN)
		info->last = now_of(socket);
}

/* What an end does not change. */
static void from_last(const struct info_last *last, struct info *info)
{
	struct tcp_info *known = &info->known;

	known->tcpi_options |= last->options;
	known->tcpi_snd_wscale = last->send_scale & 15;
	known->tcpi_rcv_wscale = last->receive_scale & 15;
	known->tcpi_ato = TCP_FAST_INTERVAL * 1000;
	known->tcpi_snd_mss = known->tcpi_rcv_mss = known->tcpi_advmss = last->segment;
	known->tcpi_pmtu = last->mtu;
	known->tcpi_snd_ssthresh = SSTHRESH_INFINITE;
	known->tcpi_rcv_ssthresh = info->rcv_wnd = last->announced;
	known->tcpi_rcv_space = last->receive_window;
	known->tcpi_snd_wnd = last->send_window;
}

static void from_pcb(const struct stack_socket *socket, struct tcp_info *info)
{
	const struct tcp_pcb *pcb = socket->pcb;
	const uint32_t tick_us = TCP_SLOW_INTERVAL * 1000;

	info->tcpi_unacked = unacknowledged(socket, pcb);
	info->tcpi_retrans = pcb->nrtx && pcb->unacked;
	info->tcpi_retransmits = pcb->nrtx;
	info->tcpi_probes = pcb->persist_probe ? pcb->persist_probe : pcb->keep_cnt_sent;
	info->tcpi_backoff = pcb->persist_backoff ? pcb->persist_backoff - 1 : pcb->nrtx;
	info->tcpi_rto = (uint32_t)pcb->rto * tick_us;
	info->tcpi_notsent_bytes = pcb->snd_lbb - pcb->snd_nxt + socket->recovery.has_asked;
}

static void from_recovery(const struct stack_socket *socket, struct tcp_info *info)
{
	static const uint8_t states[] = {
		[RECOVERY_OPEN] = TCP_CA_Open,
		[RECOVERY_FAST] = TCP_CA_Recovery,
		[RECOVERY_LOSS] = TCP_CA_Loss,
	};
	const struct recovery *recovery = &socket->recovery;
	uint32_t mss, threshold = recovery->congestion.threshold;

	info->tcpi_min_rtt = recovery->trip.least_us;
	info->tcpi_rtt = recovery->trip.smoothed_us;
	info->tcpi_rttvar = recovery->trip.deviation_us;
	if (info->tcpi_rtt && !info->tcpi_rttvar)
		info->tcpi_rttvar = 1;
	mss = info->tcpi_snd_mss;
	if (!mss || !recovery->congestion.window)
		return;
	info->tcpi_ca_state = states[recovery->state];
	if (recovery->state == RECOVERY_OPEN && recovery->scoreboard.sacked)
		info->tcpi_ca_state = TCP_CA_Disorder;
	info->tcpi_sacked = (recovery->scoreboard.sacked + mss - 1) / mss;
	info->tcpi_lost = (recovery->scoreboard.lost + mss - 1) / mss;
	info->tcpi_rto = recovery_timeout_us(recovery);
	info->tcpi_snd_cwnd = LWIP_MAX(recovery->congestion.window / mss, 1);
	if (threshold != SSTHRESH_INFINITE)
		info->tcpi_snd_ssthresh = threshold / mss;
}

/* Bytes and segments as Linux counts them: a FIN is a byte, and so is the SYN of who called. */
static void from_counts(const struct stack_socket *socket, struct tcp_info *info)
{
	const struct info_counts *counts = &socket->info;
	const struct tcp_pcb *pcb = socket->pcb;
	bool ended = pcb && (pcb->state == FIN_WAIT_2 || pcb->state == TIME_WAIT);
	uint64_t busy = counts->busy;

	if (pcb && counts->flight_since)
		busy += melin_clock_ns() - counts->flight_since;
	info->tcpi_bytes_acked = socket->info.bytes_acked + socket->handshake.called;
	info->tcpi_bytes_received = socket->info.bytes_received + socket->fin_received;
	info->tcpi_bytes_sent = counts->bytes_out;
	info->tcpi_bytes_retrans = counts->bytes_again;
	info->tcpi_segs_in = socket->info.segments_in;
	info->tcpi_segs_out = socket->info.segments_out;
	info->tcpi_data_segs_in = counts->data_in;
	info->tcpi_data_segs_out = counts->data_out;
	info->tcpi_total_retrans = socket->info.retransmitted;
	info->tcpi_rcv_ooopack = counts->out_of_order;
	if (counts->rate_time)
		info->tcpi_delivery_rate = counts->rate_bytes * 1000000000 / counts->rate_time;
	info->tcpi_delivery_rate_app_limited = counts->rate_limited;
	info->tcpi_busy_time = busy / 1000;
	/* The SYN, the FIN, and what was sent once and is not on its way any more. */
	info->tcpi_delivered =
		1 + counts->data_out - LWIP_MIN(socket->info.retransmitted, counts->data_out);
	info->tcpi_delivered -= LWIP_MIN(info->tcpi_unacked, info->tcpi_delivered - 1);
	info->tcpi_delivered += info->tcpi_sacked + ended;
}

static void from_times(const struct stack_socket *socket, struct tcp_info *info)
{
	uint64_t established = socket->info.established;

	info->tcpi_last_data_sent = since(LWIP_MAX(socket->info.last_sent, established));
	info->tcpi_last_data_recv = since(LWIP_MAX(socket->acknowledge.last_data, established));
	info->tcpi_last_ack_recv = since(LWIP_MAX(socket->info.last_received, established));
}

int info_get(struct stack_socket *socket, void *value, socklen_t *length)
{
	struct info info;
	socklen_t size = INFO_KNOWN + sizeof(info) - offsetof(struct info, rcv_wnd);

	memset(&info, 0, sizeof(info));
	info.known.tcpi_state = linux_state(socket);
	info.known.tcpi_snd_cwnd = INITIAL_WINDOW;
	info.known.tcpi_reordering = REORDERING;
	info.known.tcpi_pacing_rate = info.known.tcpi_max_pacing_rate = UINT64_MAX; /* none */
	if (socket->state == SOCKET_LISTENING) {
		info.known.tcpi_unacked = socket->accept_queue.established_count;
		info.known.tcpi_sacked = socket->accept_queue.backlog;
	} else {
		const struct info_last last = socket->pcb ? now_of(socket) : socket->info.last;

		if (last.segment)
			from_last(&last, &info);
		if (socket->pcb)
			from_pcb(socket, &info.known);
		from_recovery(socket, &info.known);
		from_counts(socket, &info.known);
		from_times(socket, &info.known);
	}
	/* Newer headers know the tail as well. */
	memmove((char *)&info + INFO_KNOWN, &info.rcv_wnd, size - INFO_KNOWN);
	if (*length < size)
		size = *length;
	memcpy(value, &info, size);
	*length = size;
	return 0;
}
