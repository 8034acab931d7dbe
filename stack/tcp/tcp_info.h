/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What TCP_INFO tells and nothing else needs: counts and times of a connection. tcp(7), and Linux's
 * tcp_get_info(). The instance's lock is held for all of it.
 */
#ifndef MELIN_TCP_INFO_H
#define MELIN_TCP_INFO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct stack_socket;
struct tcp_pcb;

struct info_counts {
	uint32_t segments_in, segments_out;
	uint32_t data_in, data_out; /* segments with data */
	/* Segments. Changed with the lock, and read without it: numbers that stand alone. */
	_Atomic uint32_t retransmitted;
	_Atomic uint32_t out_of_order; /* that came before an earlier one */
	uint64_t bytes_received, bytes_acked;
	uint64_t bytes_out, bytes_again;
	uint64_t established, last_sent, last_received; /* ms of the clock */
	union {
		/* While there is a PCB. Times in ns, 0: nothing is on its way. */
		struct {
			uint64_t flight_since;
			/* The rate of delivery: so many bytes were acknowledged by then. */
			uint64_t rate_since, rate_acked;
		};
		/* Afterwards: what it said in the end. */
		struct info_last {
			uint8_t options, send_scale, receive_scale;
			uint16_t segment, mtu;
			uint32_t send_window, receive_window, announced;
		} last;
	};
	uint64_t rate_bytes, rate_time; /* the last rate: so much in so many ns; 0 ns: none yet */
	uint64_t busy;	   /* ns with something on its way, without the present flight */
	bool rate_limited; /* by the program, which had no more to send */
	uint32_t acked_to; /* the number up to which bytes_acked has counted */
};

/* A segment with size bytes of data has come. */
void info_note_received(struct stack_socket *socket, const struct tcp_pcb *pcb, uint32_t size);
/* A segment leaves: its first number, its bytes of data, and whether it was sent before. */
void info_note_sent(struct stack_socket *socket, const struct tcp_pcb *pcb, uint32_t sequence,
		    uint32_t size, bool again);
/* The peer has acknowledged more; socket->info.bytes_acked says how much in all. */
void info_note_acknowledged(struct stack_socket *socket, const struct tcp_pcb *pcb);

/* A PCB comes. */
void info_note_begin(struct stack_socket *socket);
/* The PCB goes: what it says is kept, as in Linux, whose socket has all of it still. */
void info_note_end(struct stack_socket *socket);

/*
 * getsockopt(2): fills in as much of Linux 6.18's struct tcp_info as there is room for. 0.
 */
int info_get(struct stack_socket *socket, void *value, socklen_t *length);

#endif
