/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the system's settings for TCP: sysctl.h. */
#include "stack/instance/sysctl.h"

#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include "common/proc_file.h"

/* Linux's own, for what /proc does not tell. */
static const struct sysctl defaults = {
	.rmem_max = 212992,
	.wmem_max = 212992,
	.keepalive_time = 7200,
	.keepalive_interval = 75,
	.keepalive_probes = 9,
	.syn_retries = 6,
	.syn_linear = 0,
	.retries = 15,
	.no_pmtu_disc = 0,
	.min_pmtu = 552,
	.mtu_expires = 600,
	.mtu_expires6 = 600,
	.syncookies = 1,
	.max_syn_backlog = 1024,
	.fin_timeout = 60,
	.notsent_lowat = UINT32_MAX,
	.tick_us = 4000,
};

/* least: the kernel's own reading of a 0, where 0 has a meaning that the stack has not. */
static const struct {
	const char *path;
	size_t offset; /* in struct sysctl */
	uint32_t least;
} files[] = {
	{ "/proc/sys/net/core/rmem_max", offsetof(struct sysctl, rmem_max), 1 },
	{ "/proc/sys/net/core/wmem_max", offsetof(struct sysctl, wmem_max), 1 },
	{ "/proc/sys/net/ipv4/tcp_keepalive_time", offsetof(struct sysctl, keepalive_time), 1 },
	{ "/proc/sys/net/ipv4/tcp_keepalive_intvl", offsetof(struct sysctl, keepalive_interval),
	  1 },
	{ "/proc/sys/net/ipv4/tcp_keepalive_probes", offsetof(struct sysctl, keepalive_probes), 1 },
	{ "/proc/sys/net/ipv4/tcp_syn_retries", offsetof(struct sysctl, syn_retries), 1 },
	{ "/proc/sys/net/ipv4/tcp_syn_linear_timeouts", offsetof(struct sysctl, syn_linear), 0 },
	{ "/proc/sys/net/ipv4/tcp_retries2", offsetof(struct sysctl, retries), 1 },
	{ "/proc/sys/net/ipv4/ip_no_pmtu_disc", offsetof(struct sysctl, no_pmtu_disc), 0 },
	{ "/proc/sys/net/ipv4/route/min_pmtu", offsetof(struct sysctl, min_pmtu), 68 },
	{ "/proc/sys/net/ipv4/route/mtu_expires", offsetof(struct sysctl, mtu_expires), 1 },
	{ "/proc/sys/net/ipv6/route/mtu_expires", offsetof(struct sysctl, mtu_expires6), 1 },
	{ "/proc/sys/net/ipv4/tcp_syncookies", offsetof(struct sysctl, syncookies), 0 },
	{ "/proc/sys/net/ipv4/tcp_max_syn_backlog", offsetof(struct sysctl, max_syn_backlog), 1 },
	{ "/proc/sys/net/ipv4/tcp_fin_timeout", offsetof(struct sysctl, fin_timeout), 1 },
	{ "/proc/sys/net/ipv4/tcp_notsent_lowat", offsetof(struct sysctl, notsent_lowat), 1 },
};

/* CONFIG_HZ is 100 to 1000. */
static void read_tick(struct sysctl *sysctl)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0 && tick.tv_sec == 0 &&
	    tick.tv_nsec >= 1000000 && tick.tv_nsec <= 10000000)
		sysctl->tick_us = (uint32_t)tick.tv_nsec / 1000;
}

void sysctl_read(struct sysctl *sysctl)
{
	*sysctl = defaults;
	read_tick(sysctl);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char text[32], *end;
		unsigned long value;

		proc_read(files[i].path, text, sizeof(text));
		value = strtoul(text, &end, 10);
		if (end != text && value >= files[i].least)
			*(uint32_t *)((char *)sysctl + files[i].offset) = (uint32_t)value;
	}
}
