/* SPDX-License-Identifier: BSD-3-Clause */
/* See status_page.h. */
#include "common/status_page.h"

#include <linux/tcp.h>
#include <stddef.h>

#define FLOW_NAME(number, name, why)   name,
#define FLOW_REASON(number, name, why) why,
#define COUNT_NAME(name, text)	       #name,

const char *const status_flow_names[FLOW_COUNTS] = { FLOWS(FLOW_NAME) };
const char *const status_flow_reasons[FLOW_COUNTS] = { FLOWS(FLOW_REASON) };
const char *const status_count_names[STATUS_COUNTS] = { STACK_COUNTERS(COUNT_NAME) };

void status_row_measure(struct status_row *row, const struct tcp_info *info)
{
	row->state = info->tcpi_state;
	row->mss = (uint16_t)info->tcpi_snd_mss;
	row->bytes_sent = info->tcpi_bytes_sent;
	row->bytes_received = info->tcpi_bytes_received;
	row->round_trip = info->tcpi_rtt;
	row->round_trip_variation = info->tcpi_rttvar;
	row->window = info->tcpi_snd_cwnd;
	row->threshold = info->tcpi_snd_ssthresh;
	row->unacknowledged = info->tcpi_unacked;
	row->lost = info->tcpi_lost;
	row->retransmitted = info->tcpi_total_retrans;
	row->segments_in = info->tcpi_segs_in;
	row->segments_out = info->tcpi_segs_out;
}
