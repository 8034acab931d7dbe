/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The MTU of paths: what routers have said of them, and what follows for connections. RFC 1191 and
 * RFC 8201. The instance's lock is held for all of it.
 */
#ifndef MELIN_PATH_H
#define MELIN_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/ip_addr.h"

struct stack;
struct stack_socket;
struct tcp_pcb;

/* In sets, so that two destinations with one hash do not push each other out. */
#define PATH_SETS 128
#define PATH_WAYS 4

/*
 * As Linux's TCP_MIN_SND_MSS: lwIP takes it for granted that a segment holds TCP's options and
 * some data, and would write behind its memory.
 */
#define SEGMENT_MIN 48

/* What routers have said of the way to a destination. */
struct path {
	ip_addr_t remote;
	uint16_t mtu; /* 0: the entry is free */
	bool may_fragment;
	uint64_t expires; /* ns of the clock */
};

struct path_table {
	struct path paths[PATH_SETS][PATH_WAYS];
	unsigned known; /* entries in use */
};

/* What a connection keeps of its path. */
struct path_limit {
	uint16_t agreed_segment; /* the largest of the two ends', whatever the path takes */
	bool may_fragment;	 /* no "don't fragment" bit is set: routers may cut segments */
};

/*
 * The largest IP packet that gets to the peer of a socket with a PCB, in bytes: what the
 * way out takes, which a borrowed connection has with its path, or what a router has said.
 */
uint32_t path_mtu_of(const struct stack_socket *socket);

/*
 * A router has dropped a segment of pcb's because the next link carries no more than mtu bytes:
 * remembers it, makes what is unacknowledged and unsent fit, and sends that again. An MTU that is
 * no smaller than the known one only does the latter.
 */
void path_too_big(struct stack *stack, struct tcp_pcb *pcb, uint32_t mtu);

/* The handshake has just ended: what is known of the path holds for the connection. */
void path_begin(struct stack_socket *socket);

/* Whether a router may cut the segments of pcb: then the "don't fragment" bit is not set. */
bool path_may_fragment(const struct stack_socket *socket);

/* Once a second: old knowledge ends, and connections try larger segments again. */
void path_expire(uint64_t now);

#endif
