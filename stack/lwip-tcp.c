/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiles lwIP's tcp.c unchanged, with its limits on retries replaced by functions of ours: lwIP
 * counts retries, Linux counts time. Not for code of our own.
 */
#include "stack/retry.h"

/* Each is read as "pcb->nrtx >= LIMIT" or "pcb->persist_probe >= LIMIT" with pcb in scope. */
#undef TCP_MAXRTX
#define TCP_MAXRTX melin_retry_limit(pcb)
#undef TCP_SYNMAXRTX
#define TCP_SYNMAXRTX melin_syn_retry_limit(pcb)

#include "core/tcp.c"
