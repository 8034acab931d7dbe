/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The seam between the stack (stack/) and the device (dpdk/): all that the stack knows of where
 * frames come and go. Frames cross it as lwIP pbufs; no DPDK type does.
 *
 * A link is a table of operations and what its maker keeps behind it. The device (dpdk/) is one;
 * what loses frames or keeps them in memory is another, in place of it or on top of it, and what
 * captures them puts operations in the place of some of its own. The "loop" device has no link at
 * all: in-process delivery is the stack's own (stack/ip/loop.c).
 *
 * Threads: link_open() and close() run whatever they need on a thread of their own (EAL pins its
 * caller). All other operations are called with the stack instance's lock held, from any thread,
 * none of them an EAL thread.
 *
 * Checksums: the link does the TCP one both ways, by offload where the device can, else in
 * software. Received frames that are handed over have good IPv4 header and TCP checksums (or, on
 * links whose peer may be a local kernel, the unfinished form that it leaves: the folded sum of the
 * pseudo-header); bad ones are dropped and counted. The stack leaves the TCP
 * checksum field of what it sends at zero; IPv4 header, ICMP and ICMPv6 checksums are filled in
 * by lwIP.
 */
#ifndef MELIN_LINK_H
#define MELIN_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/log_level.h"
#include "common/reason.h"
#include "common/stack_config.h"

struct link;
struct pbuf;
struct sockaddr;

/* What has become of the ways that frames take. The link does not know which of them are in use. */
struct link_path_news {
	enum {
		LINK_PATH_ANY,	     /* none can be relied on */
		LINK_PATH_INTERFACE, /* an interface: is_up, mtu and mac are how it is now */
		LINK_PATH_NEIGHBOUR, /* who had that mac on that interface has another one */
		LINK_PATH_LOCAL,     /* an address of the machine's: is_up, or gone */
		LINK_PATH_REMOTE,    /* a route to the network of that address and prefix */
	} what;
	unsigned interface;
	bool is_up;
	uint32_t mtu;
	uint8_t mac[6];
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t address[16];
	unsigned prefix; /* bits */
};

struct link_config {
	const struct stack_config *stack; /* device, addresses, mtu, vlan, queues, ... */
	/* printf-like; one line, no newline. Never NULL. */
	void (*log)(void *context, enum log_level level, const char *format, ...)
		__attribute__((format(printf, 3, 4)));
	/* Called from attend() of a link for several interfaces. Or NULL. */
	void (*path_changed)(void *context, const struct link_path_news *news);
	void *context; /* what these two are given */
	/* Around the opening of descriptors later: stack_callbacks. Or NULL. */
	void (*descriptors_begin)(void);
	void (*descriptors_end)(void);
	unsigned connections; /* how many busy connections the pool should be sized for */
};

/* What the stack needs to know after opening. Only attend() changes it. */
struct link_info {
	uint8_t mac[6];
	uint16_t mtu;	     /* IP bytes that fit a frame, after clamping and VLAN */
	int wait_descriptor; /* readable when frames wait; -1: the device has none */
	bool kernel_peer;    /* frames may come straight from a local kernel */
	const char *driver;  /* DPDK's driver name, for messages */
};

struct link_counters {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_drops;	  /* short, malformed, bad checksum, wrong VLAN, device misses */
	uint64_t rx_bad_checksum; /* part of rx_drops */
	uint64_t rx_drops_device; /* part of rx_drops: the ring was full when they came */
	uint64_t rx_drops_memory; /* part of rx_drops: no mbuf or pbuf */
	uint64_t tx_drops;	  /* frames given up: no mbuf, or oversize */
};

/* What has become of a device since it was looked at last. */
enum link_news {
	LINK_SAME,
	LINK_CHANGED, /* another address, or it works again after it did not */
	LINK_ANEW,    /* another device: nothing of what was known of the network is */
};

/* What every link can do. */
struct link_operations {
	/* Stop, close, clean-up, in that order. Pbufs handed out by receive() must be freed. */
	void (*close)(struct link *link);

	/*
	 * The process is about to be ended by a signal: takes away from the machine what would
	 * outlive it, and nothing else. No memory is allocated or freed. NULL: there is nothing.
	 */
	void (*leave)(struct link *link);

	/*
	 * In the child of fork(): lets go of this process's copies of the descriptors without
	 * touching the device or the memory that is shared with the parent. No other operation may
	 * follow.
	 */
	void (*abandon)(struct link *link);

	/*
	 * Receives up to max frames (Ethernet header first, VLAN tag removed) and returns how many.
	 * Each pbuf is one reference to a received frame without a copy: freeing the last reference
	 * gives the buffer back. The frame's bytes are writable and the stack's alone. Frames of
	 * fewer bytes than their protocol needs (14, ARP 42, IPv4 34, IPv6 54) never come up.
	 */
	unsigned (*receive)(struct link *link, struct pbuf **frames, unsigned max);

	/*
	 * Queues one frame (pbuf chain, Ethernet header first) for sending; the bytes are copied,
	 * the caller keeps its reference. 0, or -ENOBUFS when the queue is full and the device
	 * takes nothing or the pool is empty (TCP sends it again later), -EMSGSIZE.
	 */
	int (*transmit)(struct link *link, struct pbuf *frame);

	/*
	 * As transmit(), by the interface of that index: in the place of transmit() on a link for
	 * several interfaces (the tap, stack_config.tap), and on no other.
	 */
	int (*transmit_by)(struct link *link, struct pbuf *frame, unsigned interface);

	/*
	 * Hands queued frames to the device: once per call into the stack or burst. Returns how
	 * many still wait; they go first in the next flush.
	 */
	unsigned (*flush)(struct link *link);

	void (*counters)(struct link *link, struct link_counters *counters);

	/*
	 * Looks what has become of the device, which costs one system call as long as nothing has.
	 * Changes *info (wait_descriptor stays) unless it is as it was; may take long then. Of
	 * several interfaces path_changed() tells. NULL: nothing can become of it.
	 */
	enum link_news (*attend)(struct link *link, struct link_info *info);

	/*
	 * Whether the machine has that local address and a route from there to remote (ports are of
	 * no matter), now. On a link for several interfaces, and on no other.
	 */
	bool (*has_way)(struct link *link, const struct sockaddr *local,
			const struct sockaddr *remote);
	/*
	 * Another packet socket gets the number of the tap (stack_config.tap): 0, or a negative
	 * errno value, and the call is to be made again. Or NULL.
	 */
	int (*renew)(struct link *link, int tap);
};

/* The first member of whatever a link's maker keeps. */
struct link {
	const struct link_operations *operations;
};

/*
 * Whether link_open() could succeed, as far as that is seen without claiming the device: 0, or a
 * negative errno value and the reason. Of a device that is no Linux interface only the name is
 * looked at. Any thread.
 */
int link_check(const struct stack_config *config, struct reason *reason);

/*
 * Opens the device that config->stack->device names, or the tap. Returns 0, or a negative errno
 * value and the reason (what is missing, DPDK's error code and text, what would mend it); nothing
 * is left behind then: no thread, no XDP program, no descriptor, no hugepage.
 * -EBUSY: another process uses this interface (or queue) now. A stale XDP program of a dead
 * melin process is removed first.
 * Tests and benchmarks of the stack are linked with another link_open(): tests/link/memory_link.c.
 */
int link_open(const struct link_config *config, struct link **link, struct link_info *info,
	      struct reason *reason);

#endif
