/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiles lwIP's tcp_in.c unchanged, with the three lists that its demultiplexer walks replaced by
 * lists of at most one, filled from the connection index. Not for code of our own.
 */
#include "stack/index.h"

/* tcphdr is tcp_in.c's own variable, in host order wherever tcp_active_pcbs is used. */
#define tcp_active_pcbs (*melin_index_match_segment(tcphdr))
#define tcp_tw_pcbs	melin_index_match.timewait
#define tcp_listen_pcbs melin_index_match.listeners

/* As in lwip-tcp.c; the window that an option of the SYN makes larger is the connection's own. */
#undef TCP_WND
#define TCP_WND melin_receive_window(pcb)

#include "core/tcp_in.c"
