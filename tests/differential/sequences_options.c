/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of the sequences that set options, and ask for them. */
#include "sequences.h"

#include <errno.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define FIN_WAIT_1 4 /* TCP_FIN_WAIT1 of include/net/tcp_states.h */
#define FIN_WAIT_2 5
#define VALUES	   5
#define VARIES	   true /* what is told depends on the path, the kernel or the moment */

static const struct numbered {
	const char *text;
	int level, name;
	bool varies;
	int values[VALUES];
} numbered[] = {
	{ "SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, false, { 1, 0, 7, 1, 0 } },
	{ "SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, false, { 1, 0, 2, 1, 0 } },
	{ "SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, false, { 1, 0, 1, 0, 0 } },
	{ "SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, false, { 100000, 200000, 150000, 1 << 30, 106496 } },
	{ "SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, false, { 100000, 200000, 50000, 1 << 30, 30000 } },
	{ "SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, false, { 1, 0, 10, 100, 1 } },
	{ "SO_SNDLOWAT", SOL_SOCKET, SO_SNDLOWAT, false, { 1, 0, 10, 100, 1 } },
	{ "SO_PRIORITY", SOL_SOCKET, SO_PRIORITY, false, { 0, 3, 6, 1, 0 } },
	{ "SO_TIMESTAMP", SOL_SOCKET, SO_TIMESTAMP, false, { 0, 0, 0, 0, 0 } },
	{ "SO_BUSY_POLL", SOL_SOCKET, 46, VARIES, { 0, 0, 0, 0, 0 } },
	{ "SO_ERROR", SOL_SOCKET, SO_ERROR, false, { 0, 1, 0, 1, 0 } },
	{ "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, false, { 1, 0, 1, 1, 7 } },
	{ "TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, false, { 100, 7200, 0, 32768, -1 } },
	{ "TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, false, { 100, 75, 0, 32768, -1 } },
	{ "TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, false, { 1, 9, 0, 128, 127 } },
	{ "TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, false, { 30000, 0, 99999, -1, 60 } },
	{ "TCP_LINGER2", IPPROTO_TCP, TCP_LINGER2, false, { 9, 0, -1, 1000, 60 } },
	{ "TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT, false, { 0, 1, 5, 0, 0 } },
	{ "TCP_QUICKACK", IPPROTO_TCP, TCP_QUICKACK, VARIES, { 1, 0, 1, 0, 7 } },
	{ "TCP_NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT, false, { 0, 16384, -1, 1, 100000 } },
	{ "TCP_MAXSEG", IPPROTO_TCP, TCP_MAXSEG, VARIES, { 1000, 1, 70000, 1400, 500 } },
	{ "TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, false, { 3, 0, 256, 6, -1 } },
	{ "TCP_INQ", IPPROTO_TCP, TCP_INQ, false, { 1, 0, 2, 1, 1 } },
	{ "TCP_THIN_LINEAR_TIMEOUTS", IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, false, { 1, 0, 2 } },
	{ "TCP_CORK", IPPROTO_TCP, TCP_CORK, false, { 0, 0, 0, 0, 0 } },
	{ "TCP_WINDOW_CLAMP",
	  IPPROTO_TCP,
	  TCP_WINDOW_CLAMP,
	  VARIES,
	  { 65536, 65536, 0, 65536, 65536 } },
	{ "IP_TOS", IPPROTO_IP, IP_TOS, false, { 0x10, 0, 8, 0xb8, 0x1c } },
	{ "IP_TTL", IPPROTO_IP, IP_TTL, false, { 64, 32, 0, 256, -1 } },
	{ "IP_MTU_DISCOVER", IPPROTO_IP, IP_MTU_DISCOVER, false, { 0, 1, 2, 1, 9 } },
	{ "IP_RECVERR", IPPROTO_IP, IP_RECVERR, false, { 1, 0, 1, 0, 2 } },
	{ "IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS, false, { 0x10, 0, -1, 256, 8 } },
	{ "IPV6_UNICAST_HOPS", IPPROTO_IPV6, IPV6_UNICAST_HOPS, false, { 64, 32, -1, 256, 1 } },
};

static void ask(const struct numbered *option, int fd, socklen_t length)
{
	long value = 0;
	int result = getsockopt(fd, option->level, option->name, &value, &length);

	outcome("getsockopt", result);
	if (result == 0 && !option->varies)
		note("%ld, length %u", value, length);
}

static void step_set(struct side *side, int fd)
{
	const struct numbered *option = &ONE_OF(numbered);
	int value = ONE_OF(option->values);

	(void)side;
	note("%s to %d", option->text, value);
	outcome("setsockopt", setsockopt(fd, option->level, option->name, &value, sizeof(value)));
	ask(option, fd, sizeof(int));
}

static void step_get(struct side *side, int fd)
{
	static const socklen_t lengths[] = { 4, 4, 8, 1, 2, 0, 3, (socklen_t)-1 };
	const struct numbered *option = &ONE_OF(numbered);

	(void)side;
	/* Nobody has set them, perhaps, and then they grow. */
	if (option->name == SO_RCVBUF || option->name == SO_SNDBUF)
		return;
	note("%s", option->text);
	ask(option, fd, ONE_OF(lengths));
}

static void step_times(struct side *side, int fd)
{
	static const struct timeval values[] = {
		{ 0, 20000 }, { 0, 30000 }, { 0, 12345 }, { 0, 1000000 }, { 0, -1 }
	};
	struct timeval value = ONE_OF(values), told = { 0 };
	int name = chance(2) ? SO_RCVTIMEO : SO_SNDTIMEO;
	socklen_t length = sizeof(told);

	(void)side;
	outcome("set", setsockopt(fd, SOL_SOCKET, name, &value, chance(5) ? sizeof(value) : 4));
	outcome("get", getsockopt(fd, SOL_SOCKET, name, &told, &length));
	note("%ld s, %ld us", (long)told.tv_sec, (long)told.tv_usec);
}

static void step_linger(struct side *side, int fd)
{
	static const struct linger values[] = { { 0, 0 }, { 1, 1 }, { 0, 5 }, { 1, 100000 } };
	struct linger value = ONE_OF(values), told = { 0 };
	socklen_t length = chance(3) ? sizeof(told) : 4;

	(void)side;
	outcome("set", setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, chance(5) ? 8 : 7));
	outcome("get", getsockopt(fd, SOL_SOCKET, SO_LINGER, &told, &length));
	note("%d, %d, length %u", told.l_onoff, told.l_linger, length);
	value.l_onoff = 0;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof(value));
}

static void step_congestion(struct side *side, int fd)
{
	static const char *const names[] = { "cubic", "reno", "reno", "nobody", "" };
	const char *name = ONE_OF(names);
	char told[16] = "";
	socklen_t length = chance(3) ? sizeof(told) : 3;
	int result;

	(void)side;
	result = setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
	outcome("set", result);
	outcome("get", getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, told, &length));
	if (result == 0) /* else it is the system's */
		note("%.15s, length %u", told, length);
}

static void step_info(struct side *side, int fd)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);
	int result = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);

	/* The peer may acknowledge a FIN late. */
	if (info.tcpi_state == FIN_WAIT_1)
		info.tcpi_state = FIN_WAIT_2;

	(void)side;
	outcome("TCP_INFO", result);
	if (result == 0)
		note("state %d, scales %d %d, unacked %d", info.tcpi_state,
		     info.tcpi_snd_wscale > 0, info.tcpi_rcv_wscale > 0, info.tcpi_unacked > 9);
}

static void cork(int fd, int on)
{
	outcome("TCP_CORK", setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)));
}

static void step_cork(struct side *side, int fd)
{
	ssize_t n;

	if (sendable(side, 60) < 60)
		return;
	cork(fd, 1);
	for (int i = 0; i < 3; i++) {
		n = send(fd, next_data(side, 20), 20, MSG_NOSIGNAL | MSG_DONTWAIT);
		outcome_at("sent", i, n);
		side_has_sent(side, n > 0 ? (size_t)n : 0);
	}
	cork(fd, 0);
}

const struct step option_steps[] = {
	{ "set", step_set, 20 },
	{ "get", step_get, 10 },
	{ "times", step_times, 3 },
	{ "linger", step_linger, 2 },
	{ "congestion", step_congestion, 2 },
	{ "info", step_info, 3 },
	{ "cork", step_cork, 4 },
	{ 0 },
};
