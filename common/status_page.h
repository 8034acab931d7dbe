/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The status page: memory that each process with rules shares with whoever may look at it, the
 * melin command above all (melin stat, top, drain). What it counts, which of its connections are
 * whose and why, and the words by which it is asked for more. Not for how a process keeps its page
 * (preload/process/status.h), nor for how one is found (tools/melin/).
 *
 * The page is a memfd named STATUS_PAGE_NAME, among the process's descriptors. So
 *  - it goes with the process, however that ends, and after execve(2): nothing can be left behind,
 *    and there is no folder that could be missing (chroot, containers) or be written to by others;
 *  - who may look is the kernel's to decide: /proc/PID/fd is for those who may see the process's
 *    memory (ptrace(2), PTRACE_MODE_READ), and the file is its user's alone (mode 0600). A process
 *    that has given up root is root's to look at, as for "ss -p".
 * The child of a fork that melin has seen has a page of its own. One made by a bare clone(2) has
 * its parent's: a page whose process is not the one that it was found in is stale for it.
 *
 * Counters are stored where things happen, by plain atomic additions; no lock is taken and no
 * system call is made. What takes more than a store is written when a reader has asked, by a thread
 * of melin's that sleeps on the bell: an idle page costs nothing.
 *
 * The reader maps the page to read and write. One reader at a time asks: it has flock(2) of the
 * file meanwhile. It stores first, adds 1 to the upper part of asked and sets the lower one to what
 * it wants in one store, adds 1 to bell and wakes all that sleep on it (futex(2), not private). The
 * answer is there when answered is equal to what was stored in asked. If there is no thread, no
 * connection can be carried by a stack, and there is nothing to be asked.
 *
 * The file is sealed: it does not get shorter while somebody has it mapped (F_SEAL_SHRINK). All
 * else in it a process may have written itself: a reader believes no number of it.
 *
 * Byte order, alignment and sizes are the machine's. Whatever is read may be changing meanwhile.
 */
#ifndef MELIN_STATUS_PAGE_H
#define MELIN_STATUS_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/capture_ring.h"
#include "common/counters.h"

#define STATUS_PAGE_NAME    "melin-status"
#define STATUS_PAGE_MAGIC   0x4e494c454d0a1a0aull
#define STATUS_PAGE_VERSION 4 /* raised with each change of what is below */

/*
 * What is counted of flows: how many melin has taken, how many were left to libc, and in host mode
 * how often one was borrowed and given back, and how many never were. FLOW(number, name as the
 * summary line and melin stat have it, why the kernel has a connection of which this was the last
 * that was noted). Those RETURNED are in the order of enum borrow_return.
 */
#define FLOWS(FLOW)                                                                                \
	FLOW(FLOW_TAKEN_CONNECT, "taken_connect", "few messages so far")                           \
	FLOW(FLOW_TAKEN_LISTEN, "taken_listen", NULL)                                              \
	FLOW(FLOW_TAKEN_ACCEPT, "taken_accept", "few messages so far")                             \
	FLOW(FLOW_LEFT_RULE, "left_rule", "no rule takes it")                                      \
	FLOW(FLOW_LEFT_STACK, "left_stack", "the stack could not start")                           \
	FLOW(FLOW_LEFT_OPTION, "left_option", "an option that only the kernel has")                \
	FLOW(FLOW_LEFT_ROUTE, "left_route", "the stack has no way there")                          \
	FLOW(FLOW_BORROWED, "borrowed", NULL)                                                      \
	FLOW(FLOW_RETURNED_CLOSED, "returned_closed", "closed")                                    \
	FLOW(FLOW_RETURNED_PEER, "returned_peer", "the peer has ended it")                         \
	FLOW(FLOW_RETURNED_PROCESS, "returned_process", "another process may use it")              \
	FLOW(FLOW_RETURNED_CALL, "returned_call", "a call that only the kernel serves")            \
	FLOW(FLOW_RETURNED_PATH, "returned_path", "its path has changed")                          \
	FLOW(FLOW_RETURNED_LOSS, "returned_loss", "segments are lost")                             \
	FLOW(FLOW_RETURNED_BULK, "returned_bulk", "much data in one direction")                    \
	FLOW(FLOW_RETURNED_IDLE, "returned_idle", "idle")                                          \
	FLOW(FLOW_RETURNED_SLOW, "returned_slow", "a sleep for each message")                      \
	FLOW(FLOW_RETURNED_RIGHTS, "returned_rights", "rights are given up")                       \
	FLOW(FLOW_RETURNED_DRAINED, "returned_drained", "drained")                                 \
	FLOW(FLOW_RETURNED_CHANCE, "returned_chance", "by chance")                                 \
	FLOW(FLOW_RETURNED_LOST, "returned_lost", "could not be given back")                       \
	FLOW(FLOW_KEPT_RULE, "kept_rule", "no rule takes it")                                      \
	FLOW(FLOW_KEPT_UNPAID, "kept_unpaid", "too few messages")                                  \
	FLOW(FLOW_KEPT_OPTION, "kept_option", "an option or a use that only the kernel serves")    \
	FLOW(FLOW_KEPT_LOCAL, "kept_local", "the peer is this host")                               \
	FLOW(FLOW_KEPT_PATH, "kept_path", "no interface that frames can be taken from")            \
	FLOW(FLOW_KEPT_UNSEEN, "kept_unseen", "its frames do not come by as the socket's")         \
	FLOW(FLOW_KEPT_NAMESPACE, "kept_namespace", "a socket of another network namespace")       \
	FLOW(FLOW_KEPT_RIGHTS, "kept_rights", "rights are missing")                                \
	FLOW(FLOW_KEPT_STACK, "kept_stack", "the stack could not start")

#define FLOW_NUMBER(number, name, why) number,
enum flow_count { FLOWS(FLOW_NUMBER) FLOW_COUNTS };

/* What the stack counts: as of the last time that a reader has asked. */
#define STATUS_COUNT_NUMBER(name, text) STATUS_COUNT_##name,
enum status_count { STACK_COUNTERS(STATUS_COUNT_NUMBER) STATUS_COUNTS };

/* The name of each as the summary line, melin stat and --prometheus have it: "returned_bulk". */
extern const char *const status_flow_names[FLOW_COUNTS];
extern const char *const status_count_names[STATUS_COUNTS];
extern const char *const status_flow_reasons[FLOW_COUNTS];

/* Counters of waits, each in a cache line of its own: threads that wait do not disturb others. */
#define STATUS_STRIPES 8
struct status_stripe {
	_Atomic uint64_t polled; /* waits that ended while the thread polled */
	_Atomic uint64_t slept;	 /* and those in which it slept at least once */
} __attribute__((aligned(64)));

/* A connection that a stack carries, as of the last time that a reader has asked. */
struct status_row {
	int32_t descriptor;
	uint8_t state;	  /* TCP_ESTABLISHED and so on, of <netinet/tcp.h> */
	uint8_t borrowed; /* 0: the stack's own (MELIN_ADDR) */
	uint16_t mss;	  /* of what is sent, bytes */
	struct sockaddr_storage local, peer;
	uint64_t bytes_sent, bytes_received;
	uint64_t borrowed_for;			   /* ms since it was borrowed last */
	uint32_t receive_queue, send_queue;	   /* bytes */
	uint32_t round_trip, round_trip_variation; /* microseconds */
	uint32_t window, threshold;		   /* cwnd and ssthresh, segments */
	uint32_t unacknowledged, lost;		   /* segments */
	uint32_t retransmitted;			   /* segments, in all */
	uint32_t segments_in, segments_out;
};
#define STATUS_ROWS 256

struct tcp_info;
/* Fills in what TCP_INFO (tcp(7)) tells of a connection. */
void status_row_measure(struct status_row *row, const struct tcp_info *info);

/*
 * What is known of a descriptor that is or was a connection. It is what it was when melin last saw
 * it become one: a reader looks in /proc whether there is a connection.
 */
struct status_descriptor {
	_Atomic uint32_t since;	  /* ms of CLOCK_MONOTONIC_COARSE, modulo 2^32; 0: unknown */
	_Atomic uint32_t changed; /* when it was borrowed or given back last, likewise */
	_Atomic uint8_t is;	  /* 1 + the enum flow_count that was counted last; 0: nothing */
	_Atomic uint8_t refusal;  /* enum refusal (broker/lender.h): why it was not borrowed */
	_Atomic uint16_t loans;	  /* how often it has been borrowed, modulo 2^16 */
	/*
	 * Written to by readers: 1: another process takes it, so it is not to be borrowed. It is 0
	 * again for the next socket.
	 */
	_Atomic uint8_t passed;
	/*
	 * Bytes that were carried before it was given back last: the kernel's socket, whose
	 * counters begin anew then, and the stack do not know of them.
	 */
	_Atomic uint64_t sent_before, received_before;
};
/*
 * Of descriptors above these nothing is known but what a row says. Only what is written to takes
 * memory; but of a program that calls mlockall(2) it is all of it, 8 MiB with the ring of captures.
 */
#define STATUS_DESCRIPTORS (1 << 17)

/* The bits that may be asked for, and what counts the requests above them. */
enum status_request {
	STATUS_ASK_COUNTS = 1,	/* counts[] */
	STATUS_ASK_ROWS = 2,	/* rows[], of descriptors from first on; next says where to go on */
	STATUS_ASK_DRAIN = 4,	/* all borrowed connections are given back; drained is set before */
	STATUS_ASK_CAPTURE = 8, /* frames go into the ring from now on, or error says why not */
	STATUS_ASK_CAPTURE_END = 16, /* and not any more */
	/*
	 * The connection whose number first is goes back to the kernel for good: the reader is
	 * about to take it (pidfd_getfd(2)), and has set passed before.
	 */
	STATUS_ASK_PASS = 32,
};
#define STATUS_ASK_STEP 256u /* added to asked for each request */

enum status_stack {
	STATUS_STACK_NONE, /* not started: no connection has needed it */
	STATUS_STACK_RUNS,
	STATUS_STACK_FAILED,
};

/*
 * A reader may be another user, root even, to whom nothing in here is certain but its size: no
 * field is of a type of which some values are none (bool, enum).
 */
struct status_page {
	uint64_t magic;
	uint32_t version;
	uint32_t size;		/* of struct status_page */
	uint32_t process;	/* its number, in its own PID namespace */
	uint8_t host;		/* host mode: connections are borrowed; 0: MELIN_ADDR is set */
	char library[15];	/* melin's version */
	uint32_t began;		/* of the page, in time as in struct status_descriptor */
	_Atomic uint8_t stack;	/* enum status_stack */
	_Atomic uint8_t thread; /* there is one that answers */

	/* Written to by readers, all but answered and what is below. */
	_Atomic uint8_t drained __attribute__((aligned(64))); /* nothing is to be borrowed */
	_Atomic uint32_t first; /* a descriptor, for the requests that say so */
	_Atomic uint32_t asked;
	_Atomic uint32_t bell;	   /* a futex */
	_Atomic uint32_t answered; /* a futex */
	_Atomic uint32_t row_count;
	_Atomic uint32_t next; /* the descriptor to go on from; UINT32_MAX: these were all */

	_Atomic uint64_t flows[FLOW_COUNTS] __attribute__((aligned(64)));
	_Atomic uint64_t counts[STATUS_COUNTS];
	struct status_stripe waits[STATUS_STRIPES];

	struct status_row rows[STATUS_ROWS] __attribute__((aligned(4096)));
	struct status_descriptor descriptors[STATUS_DESCRIPTORS] __attribute__((aligned(4096)));
	struct capture_ring capture __attribute__((aligned(4096))); /* melin pcap */
};

#endif
