/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system's settings for TCP (Linux's Documentation/networking/ip-sysctl.rst, tcp(7), socket(7))
 * that the stack honours as the kernel does. Not for what a program sets for one socket: options.c.
 */
#ifndef MELIN_SYSCTL_H
#define MELIN_SYSCTL_H

#include <stdint.h>

struct sysctl {
	uint32_t rmem_max, wmem_max; /* bytes: what SO_RCVBUF and SO_SNDBUF may ask for */
	uint32_t keepalive_time, keepalive_interval; /* seconds */
	uint32_t keepalive_probes;
	uint32_t syn_retries; /* of connect(), after the linear ones */
	uint32_t syn_linear;  /* so many SYNs are sent again one second after the last; Linux 6.5 */
	uint32_t retries;     /* tcp_retries2: of an established connection */
	uint32_t no_pmtu_disc;		    /* not 0: IP_MTU_DISCOVER is IP_PMTUDISC_DONT */
	uint32_t min_pmtu;		    /* below it IPv4 packets may be fragmented instead */
	uint32_t mtu_expires, mtu_expires6; /* seconds */
	uint32_t syncookies; /* 0: never, 1: when too many connections are half-open, 2: always */
	uint32_t max_syn_backlog; /* half-open connections a listener has room for, at least */
	uint32_t fin_timeout;	  /* seconds in FIN_WAIT_2 that nobody holds any more */
	uint32_t notsent_lowat;	  /* bytes: TCP_NOTSENT_LOWAT where the program has set none */
	uint32_t tick_us;	  /* the kernel's timers for TCP count in these: CONFIG_HZ */
};

/*
 * Reads /proc/sys/net of the calling thread's network namespace, and the tick from the clock that
 * advances with it (clock_getres(2)); what is not there is Linux's default. Called once for each
 * instance, before there is a second thread in it.
 */
void sysctl_read(struct sysctl *sysctl);

#endif
