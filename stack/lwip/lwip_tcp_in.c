/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiles lwIP's tcp_in.c unchanged, with the three lists that its demultiplexer walks replaced by
 * lists of at most one, filled from the connection index. Not for code of our own.
 */
#include "stack/tcp/index.h"

/* tcphdr is tcp_in.c's own variable, in host order wherever tcp_active_pcbs is used. */
#define tcp_active_pcbs (*melin_index_match_segment(tcphdr))
#define tcp_tw_pcbs	melin_index_match.timewait
#define tcp_listen_pcbs melin_index_match.listeners

/* As in lwip_tcp.c; the window that an option of the SYN makes larger is the connection's own. */
#undef TCP_WND
#define TCP_WND melin_receive_window(pcb)

/* Each reset that is sent from here answers the segment that is being received. */
void melin_reset_answers(int acknowledges); /* segment.c */
#define tcp_rst(...)	   (melin_reset_answers(flags & TCP_ACK), tcp_rst(__VA_ARGS__))
#define tcp_rst_netif(...) (melin_reset_answers(flags & TCP_ACK), tcp_rst_netif(__VA_ARGS__))
/* Not for each segment that is out of order: stack/tcp/gap.c. */
err_t melin_gap_acknowledge(struct tcp_pcb *pcb);
#define tcp_send_empty_ack melin_gap_acknowledge

#include "core/tcp_in.c"

/* The FIN of the segment that is being received is not for lwIP: adopted.c. */
void melin_lwip_take_fin_off(void)
{
	flags &= (u8_t)~TCP_FIN;
	TCPH_UNSET_FLAG(tcphdr, TCP_FIN);
	tcplen--;
}

/* For two ends that call each other at once, of which lwIP knows nothing: segment.c. */
void melin_lwip_read_options(struct tcp_pcb *pcb)
{
	tcp_parseopt(pcb);
}

/* The ACK that is being received becomes the SYN-ACK that was lost before it. */
void melin_lwip_become_synack(void)
{
	flags |= TCP_SYN;
	seqno--;
	TCPH_SET_FLAG(tcphdr, TCP_SYN);
	tcphdr->seqno = seqno;
	tcplen++;
}
