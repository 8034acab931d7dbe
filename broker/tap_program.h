/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the eBPF programs of the tap (tap_program.c) and the process that loads them (tap_socket.c)
 * share: the maps' contents. Plain C for both compilers.
 *
 * A frame's tuple (struct loan_tuple of lender.h, the key of a hash map) leads to the number of a
 * slot, an array that the process has mapped: so a change of state is a store, and no system call.
 */
#ifndef MELIN_TAP_PROGRAM_H
#define MELIN_TAP_PROGRAM_H

#include <linux/types.h>

/* What happens to frames of the tuple. Written by the process, but for TAP_STALE. */
enum tap_state {
	TAP_FREE,     /* the kernel has them */
	TAP_WATCHED,  /* the kernel has them, they are noticed */
	TAP_PASSED,   /* the tap shows them, the kernel has them too */
	TAP_BORROWED, /* the tap shows them */
	TAP_HELD,     /* they are kept in the ring */
	TAP_STALE,    /* the kernel has them: a SYN has come, and there is no twin any more */
};

/* What has been noticed of a watched tuple's frames; written by the programs. */
#define TAP_SEEN_BY_FILTER  1 /* the packet socket's filter has seen one */
#define TAP_SEEN_AT_INGRESS 2 /* the program at the interface's ingress has seen one */
#define TAP_SEEN	    3 /* both */
#define TAP_SEEN_SIGNED	    4 /* one bore TCP MD5 or TCP-AO */

struct tap_slot {
	__u32 state;
	__u32 owner;	      /* the number of the tap that shows the frames */
	__u32 generation;     /* counts the uses of the slot; the process's alone */
	__u32 seen;	      /* the two below are the last noticed frame's */
	__u32 end;	      /* the sequence number behind its data */
	__u32 acknowledgment; /* in network order */
};

/*
 * What a record of the ring holds of a frame that is kept while its connection is held: an Ethernet
 * frame of the usual MTU. A longer one, which GRO has made, takes several records.
 */
#define TAP_KEPT_BYTES 2024

/* The longest headers of Ethernet, IPv4 or IPv6 with an extension, and TCP. */
#define TAP_KEPT_HEADERS 136

/* Records for the longest frames; behind them is what GRO makes of jumbograms ("BIG TCP"). */
#define TAP_KEPT_PARTS 36

/* A record of the ring. */
struct tap_kept {
	__u32 slot;
	__u32 generation;
	__u32 interface;
	__u32 length; /* the whole frame's */
	/*
	 * Not 0: behind the frame's first TAP_KEPT_HEADERS bytes is not what follows them, but a
	 * later part of the frame, which begins there.
	 */
	__u32 offset;
	__u32 size; /* bytes in use of the array */
	__u8 frame[TAP_KEPT_BYTES];
};

/* The metadata of an injected frame, by which it passes although its connection is held. */
#define TAP_INJECTED 0x6d656c69

/*
 * A bit for each tuple, by a number made of it: most frames have none, which is found out in a
 * fraction of the time that a search in the map takes. 64 Ki bits: one in seven is set when 10,000
 * connections are watched.
 */
#define TAP_MARK_BYTES 8192

static inline __attribute__((always_inline)) __u32 tap_mark(__u32 ports, __u32 remote_end)
{
	/* Fibonacci hashing: the upper bits depend on all others. */
	return ((ports ^ remote_end) * 0x9e3779b1u) >> 16;
}

/* Instructions "rN = NUMBER ll" that are replaced, by the maps and the number of the tap. */
#define TAP_PLACE_TUPLES 0x6d656c696e000001
#define TAP_PLACE_SLOTS	 0x6d656c696e000002
#define TAP_PLACE_RING	 0x6d656c696e000003
#define TAP_PLACE_MARKS	 0x6d656c696e000004
#define TAP_PLACE_OWNER	 0x6d656c696e000005

#endif
