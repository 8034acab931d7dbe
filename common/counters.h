/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a stack counts: one list, from which are made what the stack fills in (struct
 * stack_counters), what the status page has of it, and its names. Not for flows (status_page.h).
 */
#ifndef MELIN_COUNTERS_H
#define MELIN_COUNTERS_H

#include <stdint.h>

/* COUNTER(name, what it counts): the name as melin stat has it, the text as --prometheus has it. */
#define STACK_COUNTERS(COUNTER)                                                                    \
	COUNTER(rx_frames, "Frames received.")                                                     \
	COUNTER(tx_frames, "Frames sent.")                                                         \
	COUNTER(rx_bytes, "Bytes of frames received.")                                             \
	COUNTER(tx_bytes, "Bytes of frames sent.")                                                 \
	COUNTER(rx_segments, "TCP segments received.")                                             \
	COUNTER(tx_segments, "TCP segments sent.")                                                 \
	COUNTER(rx_payload, "TCP bytes given to the program.")                                     \
	COUNTER(tx_payload, "TCP bytes taken from the program.")                                   \
	COUNTER(retransmissions, "TCP segments sent again.")                                       \
	COUNTER(rx_drops, "Frames discarded on receipt, for whatever reason.")                     \
	COUNTER(rx_drops_device, "Frames for which the ring of the device had no room.")           \
	COUNTER(rx_drops_memory, "Frames for which there was no memory.")                          \
	COUNTER(rx_drops_foreign, "Frames for nobody in the stack.")                               \
	COUNTER(rx_bad_checksum, "Frames with a wrong checksum.")                                  \
	COUNTER(tx_drops, "Frames that could not be sent.")                                        \
	COUNTER(loop_segments, "TCP segments carried inside the process.")                         \
	COUNTER(polls, "Looks for frames.")                                                        \
	COUNTER(sleeps, "Sleeps until a frame comes.")                                             \
	COUNTER(lock_spun, "Times that a thread spun for the lock of the stack.")                  \
	COUNTER(lock_slept, "Times that a thread slept for the lock of the stack.")

#define STACK_COUNTER_FIELD(name, text) uint64_t name;
struct stack_counters {
	uint64_t connects; /* connections opened by connect() that were established */
	uint64_t accepts;  /* connections that listeners took, handed to accept() or not */
	STACK_COUNTERS(STACK_COUNTER_FIELD)
};

#endif
