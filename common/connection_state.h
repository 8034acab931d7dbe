/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An established TCP connection as it passes between the kernel and a stack: all that one must know
 * to go on where the other has stopped. Plain C types: libmelin.so, melin-stack.so and a process
 * that has the rights for either may all make one. Not for connections that have seen a FIN.
 *
 * Sequence numbers are in host order and are those on the wire; the names are RFC 9293's (3.3.1).
 */
#ifndef MELIN_CONNECTION_STATE_H
#define MELIN_CONNECTION_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * How a connection's packets leave the machine and where they come in: what the kernel's routes and
 * neighbours say. Ethernet only.
 */
struct connection_path {
	unsigned interface;	/* its index; 0: not known */
	uint8_t source[6];	/* the interface's MAC address */
	uint8_t destination[6]; /* the next hop's */
	uint16_t mtu;		/* bytes of the IP packet */
};

/* What has become of the last byte that the peer has called urgent (tcp(7), MSG_OOB). */
enum connection_urgent {
	CONNECTION_URGENT_NONE,	   /* there is none, or the reader is past it */
	CONNECTION_URGENT_AWAITED, /* it was announced and has not come */
	CONNECTION_URGENT_THERE,
	CONNECTION_URGENT_READ, /* with MSG_OOB; its place in the stream is still to come */
};

struct connection_state {
	/*
	 * What the handshake has settled, and nobody changes (CONNECTION_IDENTITY_SIZE). Names are
	 * in the socket's domain: IPv4-mapped addresses in an AF_INET6 socket.
	 */
	struct sockaddr_storage local, remote;
	bool scaled; /* the two below were agreed on: RFC 7323 2.2 */
	uint8_t send_scale, receive_scale;
	bool sack;
	bool timestamps;
	uint16_t largest_segment; /* what the peer has announced, options not taken off */
	/* What the kernel has announced itself, options taken off; 0: not known. */
	uint16_t advertised_segment;

	uint32_t send_unacknowledged; /* SND.UNA: the first byte of send_data */
	uint32_t receive_next;	      /* RCV.NXT: the byte behind the last of receive_data */

	/* What the kernel calls struct tcp_repair_window: bytes, scales applied. */
	uint32_t send_wl1, send_window, send_window_max;
	uint32_t receive_window;       /* as last announced, from the next number on */
	uint32_t receive_window_start; /* RCV.NXT at that time */

	uint32_t timestamp;	   /* what a segment that left now would bear, in milliseconds */
	uint32_t timestamp_recent; /* the peer's, to be echoed; 0: not known */
	uint16_t segment;	   /* bytes of data in a full segment, options taken off */

	bool reuse_address; /* SO_REUSEADDR of the kernel's socket, which repair changes */
	bool keepalive;	    /* SO_KEEPALIVE, which is off in the kernel's socket meanwhile */

	/* Of the path; 0: not known. Bytes and microseconds. */
	uint32_t congestion_window, slow_start_threshold;
	uint32_t rtt_us, rtt_deviation_us, least_rtt_us;

	struct connection_path path;

	/*
	 * The peer has sent a FIN or an acceptable RST, whose number is receive_next, and the stack
	 * has not acted on it: whoever has the connection next is to receive it.
	 */
	bool remote_closed, remote_reset;

	/*
	 * What ended recvmmsg(2) behind its first message, an errno value, and is the next call's
	 * to tell; 0: nothing.
	 */
	uint8_t left_error;

	uint8_t urgent;		/* enum connection_urgent */
	bool sends_urgent;	/* the program has sent some, which is not acknowledged */
	uint32_t urgent_number; /* of the byte, unless there is none */
	uint32_t urgent_end;	/* behind the last urgent byte that was sent, if some was */

	/*
	 * Written and not acknowledged, sent or not; received and not read. They belong to whoever
	 * has the state; connection_state_clear() frees them.
	 */
	uint8_t *send_data, *receive_data;
	size_t send_size, receive_size;
	size_t send_unsent; /* so many of send_data's last bytes have not been sent yet */
};

/* So many bytes at the beginning tell which connection it is. */
#define CONNECTION_IDENTITY_SIZE offsetof(struct connection_state, send_unacknowledged)

void connection_state_clear(struct connection_state *state);

/* How much of send_data has been sent: it is in front of what has not. */
static inline size_t connection_state_sent(const struct connection_state *state)
{
	return state->send_unsent < state->send_size ? state->send_size - state->send_unsent : 0;
}

#endif
