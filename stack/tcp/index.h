/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection index: finds the connection, the TIME_WAIT remains or the listener of a segment in
 * constant time, takes connections out of lwIP's lists in constant time, and parks idle ones so
 * that lwIP's timers visit only those that have something to time. lwIP's own way is a walk for
 * each.
 *
 * It hangs between lwIP's files (lwip_changes.h, lwip_tcp_in.c, lwip_tcp_out.c) and keeps its links
 * in the ext_args of each PCB. Everything here runs under the instance's lock.
 */
#ifndef MELIN_INDEX_H
#define MELIN_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

struct tcp_hdr;
struct tcp_seg;

/* Who uses which of the LWIP_TCP_PCB_NUM_EXT_ARGS pointers in each PCB */
enum pcb_extra {
	EXTRA_INDEX,	  /* the PCB itself; the callbacks say which list it is in */
	EXTRA_PREVIOUS,	  /* its predecessor in that list */
	EXTRA_CHAIN,	  /* its successor in its hash bucket */
	EXTRA_TAIL,	  /* the last segment of ->unacked, or NULL: not known */
	EXTRA_SOCKET,	  /* its struct stack_socket, or NULL: released */
	EXTRA_TIMESTAMPS, /* its struct timestamps, or NULL: it has none */
	EXTRA_RECOVERY,	  /* its struct recovery without a socket, or NULL */
};

/* Listeners are few: their buckets are by port. */
#define INDEX_LISTENER_BUCKETS (1u << 8)

/* An instance's connections, active, parked and in TIME_WAIT, and its listeners. */
struct index {
	struct tcp_pcb **connections; /* CONNECTION_BUCKETS chains */
	struct tcp_pcb *listeners[INDEX_LISTENER_BUCKETS];
	struct {
		unsigned active, parked, timewait, listeners, bound;
	} counts; /* background.c reads them without the lock, as a hint */
	/* Where the search for idle ones goes on; NULL: at the head of the list. */
	struct tcp_pcb *park_cursor;
	/* The tick at which the first of the parked ones may be near its keepalive. */
	bool keepalive_parked;
	uint32_t keepalive_first;
};

/* 0, or -ENOMEM. */
int index_start(struct index *index);
void index_stop(struct index *index);

/* Behind TCP_REG and TCP_RMV */
void melin_index_register(struct tcp_pcb **list, struct tcp_pcb *pcb);
void melin_index_remove(struct tcp_pcb **list, struct tcp_pcb *pcb);

/*
 * What the segment that is being demultiplexed belongs to: lists of at most one, which
 * lwip_tcp_in.c puts in the place of lwIP's.
 */
struct index_match {
	struct tcp_pcb *active;
	struct tcp_pcb *timewait;
	union tcp_listen_pcbs_t listeners;
};
extern struct index_match melin_index_match;
struct tcp_pcb **melin_index_match_segment(const struct tcp_hdr *header);

/* The connection with these ends, parked or not, TIME_WAIT included; NULL: none. Host order. */
struct tcp_pcb *melin_index_find(const ip_addr_t *local, uint16_t local_port,
				 const ip_addr_t *remote, uint16_t remote_port);
/* The listener that a segment from remote to local would reach; NULL: none. Host order. */
struct tcp_pcb_listen *melin_index_find_listener(const ip_addr_t *local, uint16_t local_port,
						 const ip_addr_t *remote, uint16_t remote_port);

/* Puts a parked connection back into tcp_active_pcbs; nothing if it is there. */
void melin_index_unpark(struct tcp_pcb *pcb);
/* Parks connections that have been idle, at most budget of them. */
void melin_index_park_idle(unsigned budget);

/*
 * Parked connections whose keepalive comes near go back to lwIP's timer. To look at all of them
 * would be a pause of milliseconds where there are many: a slice at a time, and only when the first
 * can be due.
 */
#define INDEX_SLICES 32
bool melin_index_keepalive_is_due(void);
void melin_index_wake_keepalive(unsigned slice); /* 0 to INDEX_SLICES - 1, in this order */

/* Whether lists, links and buckets agree; for the tests. 0, or a number that says what does not. */
int melin_index_check(void);

/* Calls visit for every connection, parked and TIME_WAIT ones included. visit may end it. */
void melin_index_for_each(void (*visit)(struct tcp_pcb *pcb, void *context), void *context);

#endif
