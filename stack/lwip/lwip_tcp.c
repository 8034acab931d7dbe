/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiles lwIP's tcp.c unchanged, with its limits on retries replaced by functions of ours: lwIP
 * counts retries, Linux counts time; and with each connection's own window for the one that lwIP
 * knows. Not for code of our own.
 */
#include "stack/events/retry.h"

/* Each is read as "pcb->nrtx >= LIMIT" or "pcb->persist_probe >= LIMIT" with pcb in scope. */
#undef TCP_MAXRTX
#define TCP_MAXRTX melin_retry_limit(pcb)
#undef TCP_SYNMAXRTX
#define TCP_SYNMAXRTX melin_syn_retry_limit(pcb)

/*
 * Read with pcb in scope, too. lwIP announces new room when half of TCP_WND or a full segment is
 * free. With the largest window of all here, a small one would never be announced again once it had
 * been full.
 */
#undef TCP_WND
#define TCP_WND melin_receive_window(pcb)

#include "core/tcp.c"

struct melin_tcp_counters melin_tcp_counters;
