/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP_INFO: what lwIP's PCB and our own counts say, in Linux's units. Fields that nothing here
 * measures stay 0.
 */
#include <linux/tcp.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"

#include "stack/clock.h"
#include "stack/path.h"
#include "stack/socket.h"

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

static void from_pcb(const struct stack_socket *socket, struct tcp_info *info)
{
	const struct tcp_pcb *pcb = socket->pcb;
	const uint32_t tick_us = TCP_SLOW_INTERVAL * 1000;

	if (pcb->flags & TF_WND_SCALE) {
		info->tcpi_options |= TCPI_OPT_WSCALE;
		info->tcpi_snd_wscale = pcb->snd_scale & 15;
		info->tcpi_rcv_wscale = pcb->rcv_scale & 15;
	}
	if (pcb->flags & TF_SACK)
		info->tcpi_options |= TCPI_OPT_SACK;
	info->tcpi_ca_state = pcb->flags & TF_RTO ? TCP_CA_Loss : TCP_CA_Open;
	if (socket->recovery.active)
		info->tcpi_ca_state = TCP_CA_Recovery;
	info->tcpi_sacked = socket->recovery.sacked / pcb->mss;
	info->tcpi_lost = socket->recovery.lost;
	info->tcpi_min_rtt = socket->recovery.least_rtt_us;
	info->tcpi_retransmits = pcb->nrtx;
	info->tcpi_probes = pcb->persist_probe ? pcb->persist_probe : pcb->keep_cnt_sent;
	info->tcpi_backoff = pcb->nrtx;
	info->tcpi_rto = (uint32_t)pcb->rto * tick_us;
	info->tcpi_ato = TCP_FAST_INTERVAL * 1000;
	info->tcpi_snd_mss = pcb->mss;
	info->tcpi_rcv_mss = pcb->mss;
	info->tcpi_advmss = pcb->mss;
	info->tcpi_pmtu = path_mtu(&pcb->local_ip, &pcb->remote_ip);
	info->tcpi_unacked = (pcb->snd_nxt - pcb->lastack + pcb->mss - 1u) / pcb->mss;
	/* lwIP's clock is too coarse for a local network: then the handshake's round trip. */
	info->tcpi_rtt =
		socket->recovery.rtt_us ? socket->recovery.rtt_us : (uint32_t)pcb->sa * tick_us / 8;
	info->tcpi_rttvar = socket->recovery.rtt_us ? socket->recovery.rtt_deviation_us
						    : (uint32_t)pcb->sv * tick_us / 4;
	info->tcpi_snd_cwnd = LWIP_MAX(pcb->cwnd / pcb->mss, 1);
	info->tcpi_snd_ssthresh = pcb->ssthresh / pcb->mss;
	info->tcpi_rcv_ssthresh = pcb->rcv_ann_wnd;
	info->tcpi_rcv_space = pcb->rcv_wnd;
	info->tcpi_notsent_bytes = pcb->snd_lbb - pcb->snd_nxt;
	info->tcpi_snd_wnd = pcb->snd_wnd;
}

int info_get(struct stack_socket *socket, void *value, socklen_t *length)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	memset(&info, 0, sizeof(info));
	info.tcpi_state = linux_state(socket);
	if (socket->state == SOCKET_LISTENING) {
		info.tcpi_unacked = socket->queued;
		info.tcpi_sacked = socket->backlog;
	} else if (socket->pcb) {
		from_pcb(socket, &info);
	}
	info.tcpi_last_data_sent = since(socket->last_sent);
	info.tcpi_last_data_recv = since(socket->last_received);
	info.tcpi_last_ack_recv = since(socket->last_received);
	info.tcpi_total_retrans = socket->retransmitted;
	info.tcpi_bytes_acked = socket->bytes_acked;
	info.tcpi_bytes_received = socket->bytes_received;
	info.tcpi_segs_in = socket->segments_in;
	info.tcpi_segs_out = socket->segments_out;
	if (*length < size)
		size = *length;
	memcpy(value, &info, size);
	*length = size;
	return 0;
}
