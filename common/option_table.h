/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one table of socket options: who does what each option of Linux 6.18 asks for. Compiled into
 * libmelin.so and into melin-stack.so, which read it alike. Not for the values:
 * preload/sockets/twin_options.c keeps those in step with the kernel's socket,
 * stack/socket/options.c acts on them.
 */
#ifndef MELIN_OPTION_TABLE_H
#define MELIN_OPTION_TABLE_H

#include <stdbool.h>
#include <stdint.h>

enum option_service {
	OPTION_UNKNOWN, /* no option of Linux 6.18: the kernel's socket answers */
	/* The stack does what it asks; the kernel checks and clamps the value first. */
	OPTION_STACK,
	/* libmelin.so does it around the stack, which may have to help. */
	OPTION_PRELOAD,
	/*
	 * It asks nothing of the carrier of a TCP connection, or only what is so in any case: the
	 * kernel's socket keeps and tells the value. The table says for each why that is right.
	 */
	OPTION_TWIN,
	/*
	 * Only the kernel does it: a flow whose socket asks for it is the kernel's. After the
	 * decision setting it fails, unless it asks for nothing.
	 */
	OPTION_KERNEL,
};

/* How preload learns whether an option asks for what only the kernel does. */
enum option_form {
	OPTION_NUMBER,	  /* an int: it does unless the value is "off" */
	OPTION_ONCE_SET,  /* the kernel does not tell: it does since it was set */
	OPTION_BYTES,	  /* the kernel tells whether there is something: a length that is not 0 */
	OPTION_DEVICE,	  /* a name or an index: it does unless that is the stack's own interface */
	OPTION_ALGORITHM, /* a name: it does unless the stack has that algorithm */
	OPTION_SEND_TIMES, /* flags: it does if it asks when a segment was sent */
};

/* For which flows that matters. */
#define OPTION_CONNECT 1
#define OPTION_LISTEN  2
#define OPTION_BOTH    3
/*
 * In host mode: a connection of the kernel's with such an option is not lent. The kernel alone has
 * what the program has asked for: the time, which would begin anew after a loan, or the queue of
 * errors. The stack hears ICMP's messages about what is borrowed, too, but it keeps no queue
 * (MSG_ERRQUEUE), and the kernel puts none there about segments that its socket has not sent.
 */
#define OPTION_LOAN 4

struct option {
	char name[36];	 /* as in Linux's headers; empty: OPTION_UNKNOWN */
	uint8_t service; /* enum option_service */
	uint8_t form;	 /* enum option_form */
	uint8_t flows;	 /* OPTION_CONNECT, ...: of which it may be the kernel's only */
	/*
	 * errno after the decision: of one with flows that asks for what only the kernel does, 0
	 * if that no longer matters then; of others on a connection, what Linux itself says there,
	 * 0 if it says nothing.
	 */
	uint8_t refusal;
	int32_t off; /* OPTION_NUMBER: the value that asks for nothing */
};

/* The levels of the table, and one more than the highest number of each. */
enum option_level { OPTION_SOCKET, OPTION_TCP, OPTION_IP, OPTION_IPV6, OPTION_LEVELS };
#define OPTION_NUMBERS 96
#define OPTION_ROWS    (OPTION_LEVELS * OPTION_NUMBERS)

extern const struct option melin_option_table[OPTION_LEVELS][OPTION_NUMBERS];

/*
 * The row of getsockopt(2)'s level and name, or NULL for one that Linux 6.18 does not have. Rows
 * are constant and follow each other, so that a row's distance from the first numbers it.
 */
const struct option *option_find(int level, int name);
/* A row's level and name for getsockopt(2). */
void option_numbers(const struct option *option, int *level, int *name);

#endif
