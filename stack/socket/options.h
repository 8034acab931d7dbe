/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options of a socket: what setsockopt(2) has set, and how it gets into the PCB. Not for what
 * an option does to data on its way: whoever moves it reads the field.
 */
#ifndef MELIN_OPTIONS_H
#define MELIN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct stack_socket;

/* In the units of socket(7), tcp(7), ip(7), ipv6(7) unless it says otherwise. */
struct socket_options {
	bool keepalive, reuse_address, reuse_port, no_delay, cork;
	bool linger;
	bool receive_buffer_set, send_buffer_set; /* by the program: no autotuning */
	int linger_seconds;
	uint32_t receive_buffer, send_buffer; /* as getsockopt tells them */
	int receive_low_water;
	uint32_t keep_idle, keep_interval, keep_count; /* seconds, seconds, probes */
	uint32_t user_timeout;			       /* ms, 0: none */
	uint8_t syn_retries;			       /* TCP_SYNCNT, 0: the system's */
	uint16_t maximum_segment;		       /* TCP_MAXSEG, 0: not set */
	bool quick_ack;
	bool reno;	     /* TCP_CONGESTION was set to that; CUBIC does as much */
	bool urgent_in_line; /* SO_OOBINLINE */
	uint8_t tos;
	int ttl, traffic_class, hops;	      /* -1: the default */
	bool receive_errors, receive_errors6; /* IP_RECVERR, IPV6_RECVERR */
	uint8_t mtu_discover, mtu_discover6;  /* IP_PMTUDISC_*, IPV6_PMTUDISC_* */
	uint8_t least_ttl, least_hops;	      /* IP_MINTTL, IPV6_MINHOPCOUNT; 0: any will do */
	bool times;		   /* SO_TIMESTAMP and its kin: when data came is noted */
	int fin_timeout;	   /* TCP_LINGER2, seconds; negative: none */
	uint32_t defer_accept;	   /* TCP_DEFER_ACCEPT, seconds; 0: not */
	uint32_t window_clamp;	   /* TCP_WINDOW_CLAMP, bytes */
	int unsent_low_water_set;  /* TCP_NOTSENT_LOWAT, bytes; 0: not */
	uint32_t unsent_low_water; /* that, or the system's */
};

/* What a new socket has: the system's settings (sysctl.h), and Linux's defaults for the rest. */
void options_default(struct stack_socket *socket);
/* The child of a listener gets what Linux's accept() hands down. */
void options_inherit(struct stack_socket *child, const struct stack_socket *listener);
/*
 * Puts those that lwIP deals with into the socket's PCB, which may be new or may have others so
 * far. Nothing happens without a PCB, or with a listener's.
 */
void options_apply(struct stack_socket *socket);
/* stack_operations.get_option and set_option */
int options_get(struct stack_socket *socket, int level, int name, void *value, socklen_t *length);
int options_set(struct stack_socket *socket, int level, int name, const void *value,
		socklen_t length);

#endif
