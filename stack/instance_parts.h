/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One TCP/IP stack instance: what its parts (network, sockets, timers, background thread) share. It
 * has a part for each file that keeps more, so that it lies above all folders; all of them use it.
 * Not for anybody outside stack/: stack.h is. Not for calls into an instance: lifecycle/instance.h.
 */
#ifndef MELIN_INSTANCE_PARTS_H
#define MELIN_INSTANCE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dpdk/link.h"
#include "lwip/netif.h"
#include "stack/instance/allocation.h"
#include "stack/lifecycle/background.h"
#include "stack/instance/call_stack.h"
#include "stack/instance/clock.h"
#include "stack/instance/deadline.h"
#include "stack/instance/instance_log.h"
#include "stack/instance/lock.h"
#include "stack/instance/pressure.h"
#include "stack/instance/random.h"
#include "stack/instance/sysctl.h"
#include "stack/instance/wakeup.h"
#include "stack/ip/capture.h"
#include "stack/ip/host.h"
#include "stack/tcp/path.h"
#include "stack/stack.h"
#include "stack/tcp/index.h"
#include "stack/events/segment.h"
#include "stack/tcp/syn_cookie.h"

struct pbuf;

LIST_HEAD(socket_list, stack_socket);

struct stack {
	struct stack_lock lock; /* protects all below and all of lwIP, but what says otherwise */
	struct stack_callbacks callbacks;
	struct clock clock;
	struct allocation allocation;
	struct pressure_limits pressure;
	struct random random;
	struct sysctl sysctl;	      /* fixed after open() */
	struct call_stack call_stack; /* for what needs more than the caller may have */

	/* network.c; fixed after open() */
	struct link *link; /* NULL: device "loop" */
	struct capture capture;
	struct link_info info;
	unsigned address_count;
	struct ip_address addresses[STACK_ADDRESSES_MAX];
	struct ip_address gateway4, gateway6;
	struct netif loop_netif;
	struct netif silent_netif; /* in the place of all others while swallowing: syn_cookie.c */
	bool swallowing;
	struct netif netifs[STACK_ADDRESSES_MAX]; /* one for each IPv4 address, at least one */
	unsigned netif_count;
	bool claim_noted;     /* another host has said that it has an address of ours */
	uint64_t doubted;     /* when a next hop was asked for anew */
	bool transmit_waits;  /* the device had no room: flush again soon */
	bool transmit_failed; /* and a connection stopped sending because of it */

	ip6_addr_t next_hop; /* what routing.c has answered lwIP last */
	struct path_table path_table;

	struct host host; /* of an instance that borrows connections, which has none of the above */

	/* loop.c: segments between sockets of this process, oldest first */
	struct pbuf *loop_head, *loop_tail;

	/* socket.c */
	struct socket_list sockets; /* all that preload holds, and their children */
	struct stack_socket *changed,
		*changed_last;		/* with events for the callback, oldest first */
	struct socket_list owing;	/* those that acknowledge.c owes an acknowledgement */
	struct stack_socket *half_sent; /* whose first part waits: send_pair.c */
	struct socket_list returning;	/* borrowed, to be given back: adopted.c */
	struct stack_socket *dead;	/* to be freed when lwIP cannot name them any more */

	/* tcp/ */
	struct index index;
	struct syn_cookies syn_cookies;
	struct challenges challenges;
	enum reset_form next_reset; /* of the segment that is being received */
	unsigned out_of_order;	    /* segments that all connections hold back */
	unsigned device_buffers;    /* of the device, in all receive queues */

	struct deadline *deadlines; /* of single connections: deadline.h */

	/* timers.c; CLOCK_MONOTONIC ns */
	uint64_t next_fast, next_slow, next_second;
	unsigned keepalive_slices; /* of the index that are still to be looked at */

	struct stack_counters counters; /* what no other part counts */
	uint64_t assertions;		/* of lwIP's; logged a few times */
	uint64_t last_frame;		/* when a frame came last, as of the poll that got it */
	struct background background;	/* these two have their own rules */
	struct wakeup wakeup;
};

/*
 * The current instance: from the beginning of open() to the end of close(). lwIP's own state exists
 * once for each loaded copy of this module, so a copy has one instance at a time, and a second one
 * at the same time needs a second copy. lwIP's callbacks, which carry no context, find the instance
 * here; it is also shorter where a file has neither socket nor stack at hand.
 */
extern struct stack *melin_instance;

/* The time of the last look at the clock, ns; under the lock. */
static inline uint64_t melin_clock_ns(void)
{
	return melin_instance->clock.updated;
}

/* How much memory all connections together have; under the lock. */
static inline enum pressure pressure_now(void)
{
	const struct stack *stack = melin_instance;

	return stack->allocation.used < stack->pressure.low ? PRESSURE_NONE : pressure_beyond_low();
}

#endif
